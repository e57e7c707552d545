"""Chunks are processed in order for any number of processes, with a limited number in flight."""

import functools

import pytest

from odekit.core.parallel import CHUNKS_IN_FLIGHT, map_in_order

POWER = functools.partial(pow, 3)
CHUNKS = [400_000, 50_000, 5000, 500, 50, 5]
"""The first ones take longest."""


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_results_come_in_order(processes):
    assert list(map_in_order(POWER, CHUNKS, processes)) == [3**chunk for chunk in CHUNKS]


@pytest.mark.parametrize("processes, ahead", [(1, 1), (2, 2 * CHUNKS_IN_FLIGHT)])
def test_chunks_are_taken_as_they_are_needed(processes, ahead):
    taken = []
    many = map_in_order(POWER, (taken.append(i) or i for i in range(100)), processes)
    assert next(many) == 1 and len(taken) == ahead
    many.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_what_goes_wrong_in_a_chunk_is_raised_where_its_result_is_asked_for(processes):
    many = map_in_order(sum, [[1, 2], ["x"], [3]], processes)
    assert next(many) == 3
    with pytest.raises(TypeError):
        next(many)
