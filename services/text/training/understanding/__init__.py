"""One Transformer trunk with heads for sentiment, emotion and toxicity: data, fitting, export, measurement."""
