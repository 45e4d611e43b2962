"""What the sentiment models are compared with, on the same split: VADER (Hutto and Gilbert 2014) and Naive Bayes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from services.text.training.understanding.measuring import Figures, sentiment_figures
from services.text.training.understanding.samples import SENTIMENT_SOURCES, film_texts, rated_texts


@lru_cache(maxsize=1)
def baselines() -> dict[str, Figures]:
    """Return the figures of both on the held-out film-review snippets."""
    held_out = film_texts("test")
    texts, ratings = [each.text for each in held_out], np.array([each.rating for each in held_out])
    analyzer = SentimentIntensityAnalyzer()
    compound = np.array([analyzer.polarity_scores(text)["compound"] for text in texts])
    train = [each for each in rated_texts() if each.split == "train" and each.source in SENTIMENT_SOURCES]
    words = CountVectorizer(ngram_range=(1, 2), min_df=2)
    bayes = MultinomialNB().fit(words.fit_transform([each.text for each in train]), [each.rating > 0 for each in train])
    probability = bayes.predict_proba(words.transform(texts))[:, 1]
    return {
        "VADER": sentiment_figures(np.stack([np.arctanh(compound * 0.999), compound], axis=1), ratings),
        "Naive Bayes": sentiment_figures(
            np.stack([np.arctanh(2 * probability * 0.998 - 0.998), probability - 0.5], axis=1), ratings
        ),
    }


def baseline_table() -> str:
    """Return rows of a Markdown table: model, F1, r."""
    return "\n".join(f"| {name} | {figures['f1']:.3f} | {figures['r']:.3f} |" for name, figures in baselines().items())
