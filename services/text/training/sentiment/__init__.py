"""Sentiment by word embeddings and by a recurrent network: data, fitting, graphs."""
