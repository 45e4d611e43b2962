"""The `marquee` command: runs, fills, trains, asks and watches a mesh."""
