"""Products, sums and bytes of operations, on ones that can be counted by hand."""

import pytest
import torch

from benchmarks.roofline import Work, work_of


def test_a_matrix_product_has_two_operations_for_each_product_of_its_terms():
    a, b = torch.ones(2, 3, 4), torch.ones(2, 4, 5)
    work = work_of("bmm", (a, b), torch.bmm(a, b))
    assert work.products == 2 * 2 * 3 * 4 * 5
    assert work.moved == 4 * (24 + 40 + 30)


def test_a_convolution_counts_its_kernel_at_every_place():
    x, weight = torch.ones(1, 3, 8, 8), torch.ones(6, 3, 3, 3)
    out = torch.conv2d(x, weight, padding=1)
    assert work_of("convolution", (x, weight, None), out).products == 2 * 6 * 64 * 27


def test_a_transposed_convolution_counts_it_at_every_place_of_the_input():
    x, weight = torch.ones(1, 3, 4, 4), torch.ones(3, 6, 2, 2)
    out = torch.conv_transpose2d(x, weight, stride=2)
    assert work_of("mkldnn._convolution_transpose_pointwise", (x, weight), out).products == 2 * 3 * 16 * 24


def test_attention_is_two_products():
    q = torch.ones(1, 2, 16, 8)
    out = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert work_of("scaled_dot_product_attention", (q, q, q), out).products == 2 * 2 * (2 * 16 * 16 * 8)


def test_a_view_moves_nothing_and_a_copy_does():
    x = torch.ones(4, 6)
    assert work_of("reshape", (x,), x.reshape(6, 4)) == Work()
    assert work_of("reshape", (x.t(),), x.t().reshape(24)).moved == 4 * 48


def test_the_least_time_is_the_longer_of_both():
    assert Work(100, 10).least_seconds(rate=50, bandwidth=10) == pytest.approx(2)
    assert Work(100, 50).least_seconds(rate=50, bandwidth=10) == pytest.approx(5)
