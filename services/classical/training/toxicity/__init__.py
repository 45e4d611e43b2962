"""The published toxicity SVM as a graph."""
