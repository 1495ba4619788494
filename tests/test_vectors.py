"""What vectors have come to, against the plain recurrences."""

from __future__ import annotations

import torch

from framecast.nets.vectors import LAGS, TOGETHER, Past, at, told_size


def test_what_is_told_is_that_of_the_plain_recurrences() -> None:
    given, coming = torch.randn(2, 3, 4), torch.randn(2, 2 * TOGETHER + 9, 4)
    expected, total = [], torch.zeros(2, 4)
    means = [_mean(given[:, :-1], lag) for lag in LAGS]  # the last given one leads to the first to come
    before = given[:, -1]
    for vector in coming.unbind(1):
        means = [lag * m + (1 - lag) * before for lag, m in zip(LAGS, means, strict=True)]
        total = total + 0.1 * before
        expected.append(torch.cat([before, total, *means, vector], -1))
        before = vector
    past, told = Past.begun(given).told(coming)
    assert told.shape[-1] == told_size(4)
    torch.testing.assert_close(told, torch.stack(expected, 1))
    torch.testing.assert_close(past.late, torch.stack(means, 1))
    assert torch.equal(past.newest, coming[:, -1])


def test_one_given_vector_is_as_if_it_had_always_been_so() -> None:
    given = torch.randn(2, 1, 3)
    torch.testing.assert_close(Past.begun(given).late, given.expand(2, len(LAGS), 3))


def test_frames_are_told_by_their_times() -> None:
    values, times = torch.arange(12.0).reshape(2, 3, 2), torch.tensor([[2, 0], [1, 1]])
    assert at(values, times).tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]


def _mean(vectors: torch.Tensor, lag: float) -> torch.Tensor:
    mean = vectors[:, 0]
    for vector in vectors.unbind(1):
        mean = lag * mean + (1 - lag) * vector
    return mean
