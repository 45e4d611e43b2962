"""Small language models fitted here: texts, n-gram baseline, recurrent network, Transformer decoder, graphs."""
