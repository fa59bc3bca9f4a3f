"""What a network that classifies texts must beat: counted words and pieces of words, and a linear model upon them."""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)


def text_classifiers(
    texts: Sequence[str], codes: np.ndarray, learn: np.ndarray, on: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    """(N, C) probabilities of the texts `on` by logistic regressions that learned from `learn`.

    "tf-idf": words, as scikit-learn counts them by default.  "tf-idf+": words, pairs of them and pieces of one to five
    characters, with a penalty chosen by cross-validation.
    """
    given = np.array(texts, dtype=object)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]+")
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True, min_df=2)
    folds = int(min(5, np.bincount(codes[learn])[np.unique(codes[learn])].min()))
    linear = LogisticRegression(C=10.0, max_iter=1000)
    chosen = GridSearchCV(linear, {"C": STRENGTHS}, scoring="neg_log_loss", cv=folds) if folds > 1 else linear
    models = {
        "tf-idf": make_pipeline(TfidfVectorizer(token_pattern=r"\w+|[^\w\s]+"), LogisticRegression(max_iter=1000)),
        "tf-idf+": make_pipeline(make_union(words, pieces), chosen),
    }
    made = {}
    for name, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                model.fit(given[learn], codes[learn])
            except ValueError:  # no token in any text, or one class alone
                continue
        whole = np.zeros((len(on), classes))
        whole[:, model.classes_] = model.predict_proba(given[on])
        made[name] = whole
    return made
