"""The store of many replicas: PostgreSQL through asyncpg, with group commit and events in monthly partitions."""
