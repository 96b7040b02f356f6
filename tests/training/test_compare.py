import math

import pytest
import torch

from mlrules_mcp.training.compare import largest_difference


def tensors(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_equal_tensors_do_not_differ():
    assert largest_difference(tensors(a=[1.0, 2.0], b=[3]), tensors(a=[1.0, 2.0], b=[3])) == (0.0, "")


def test_the_worst_difference_is_relative_and_named():
    first = tensors(a=[1.0, 200.0], b=[1.0])
    second = tensors(a=[1.0, 201.0], b=[1.1])
    difference, name = largest_difference(first, second)
    assert name == "b"
    assert difference == pytest.approx(0.1)


def test_the_last_bit_counts():
    value = torch.tensor([1.0])
    assert largest_difference({"a": value}, {"a": value.nextafter(torch.tensor([2.0]))})[0] > 0


def test_values_that_are_both_nan_or_the_same_infinity_do_not_differ():
    odd = tensors(a=[math.nan, math.inf, -math.inf, 1.0])
    assert largest_difference(odd, odd) == (0.0, "")


@pytest.mark.parametrize("other", [[math.nan, 1.0], [math.inf, 1.0], [-math.inf, 1.0], [0.0, 1.0, 2.0]])
def test_what_is_finite_on_one_side_only_or_of_another_shape_differs_by_infinity(other):
    assert largest_difference(tensors(a=[0.0, 1.0]), tensors(a=other)) == (math.inf, "a")


def test_what_one_side_lacks_differs_by_infinity():
    assert largest_difference(tensors(a=[1.0]), tensors(a=[1.0], b=[1.0])) == (math.inf, "b")


def test_a_difference_from_zero_is_infinite_and_empty_tensors_are_equal():
    assert largest_difference(tensors(a=[0.0]), tensors(a=[1e-30]))[0] == math.inf
    assert largest_difference({"a": torch.zeros(0)}, {"a": torch.zeros(0)}) == (0.0, "")


def test_whole_numbers_truth_values_and_complex_numbers_are_compared():
    assert largest_difference(tensors(a=[2]), tensors(a=[3]))[0] == pytest.approx(0.5)
    assert largest_difference(tensors(a=[True]), tensors(a=[False]))[0] == 1.0
    assert largest_difference(tensors(a=[3 + 4j]), tensors(a=[3 + 3j]))[0] == pytest.approx(0.2)
