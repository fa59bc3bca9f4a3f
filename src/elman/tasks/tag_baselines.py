"""What a network that labels words must beat: what each is most often, and a linear model of its form and place."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

Sentences = Sequence[Sequence[str]]


def most_frequent(words: Sentences, labels: Sentences, asked: Sentences) -> list[list[str]]:
    """The label that each word has most often; of a word that was never seen, that of all such words that came once.

    >>> most_frequent([["a", "b", "a"]], [["X", "Y", "X"]], [["a", "c"]])
    [['X', 'Y']]
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence, tags in zip(words, labels, strict=True):
        for word, tag in zip(sentence, tags, strict=True):
            counts[word][tag] += 1
    once = Counter(tag for of in counts.values() if of.total() == 1 for tag in of)
    usual = (once or sum(counts.values(), Counter())).most_common(1)[0][0]
    best = {word: of.most_common(1)[0][0] for word, of in counts.items()}
    return [[best.get(word, usual) for word in sentence] for sentence in asked]


def linear(words: Sentences, labels: Sentences, asked: Sentences) -> list[list[str]]:
    """An averaged linear model of each word, its beginnings and endings, its form and its neighbours' the same."""
    hasher = FeatureHasher(n_features=1 << 20, input_type="string", alternate_sign=False)
    tags = [tag for of in labels for tag in of]
    if len(set(tags)) < 2:
        return [[tags[0]] * len(sentence) for sentence in asked]
    model = SGDClassifier(loss="modified_huber", alpha=3e-6, max_iter=20, average=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(hasher.transform([*_described(words)]), np.array(tags))
    said = iter(model.predict(hasher.transform([*_described(asked)])).tolist())
    return [[next(said) for _ in sentence] for sentence in asked]


def _described(sentences: Sentences) -> Iterator[list[str]]:
    for sentence in sentences:
        for k in range(len(sentence)):
            features = ["bias"]
            for apart in (-2, -1, 0, 1, 2):
                word = sentence[k + apart] if 0 <= k + apart < len(sentence) else "<edge>"
                small = word.lower()
                features.append(f"{apart} is {small}")
                if abs(apart) < 2:
                    features += [f"{apart} ends {small[-n:]}" for n in (1, 2, 3, 4)]
                    features += [f"{apart} begins {small[:n]}" for n in (1, 2, 3)]
                    features.append(f"{apart} form {_form(word)}")
            before, after = (sentence[j].lower() if 0 <= j < len(sentence) else "" for j in (k - 1, k + 1))
            features += [f"pair {before} {sentence[k].lower()}", f"pair {sentence[k].lower()} {after}"]
            yield features


def _form(word: str) -> str:
    """Kinds of its characters, each run once: capitals, small letters, digits, marks."""
    kinds = ["A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in word]
    return "".join(kind for k, kind in enumerate(kinds) if k == 0 or kinds[k - 1] != kind)
