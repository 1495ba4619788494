"""docs/derivation.md and the code say the same: equation numbers, closed forms and the numbers of its tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from framecast.objective import calibrated_beta, implied_sigma
from framecast.values import Gaussian

HOUSE = Path(__file__).parents[1]
PAGE = (HOUSE / "docs" / "derivation.md").read_text(encoding="utf-8")
TAGS = re.findall(r"\\tag\{(.+?)\}", PAGE)
EQUATIONS = {int(tag) for tag in TAGS if tag.isdigit()}


def named(path: Path) -> set[int]:
    """Equations that a file names: in the objective's by their number alone, elsewhere as derivation (6)."""
    before = r"(?<![\w.])" if path.name == "objective.py" else r"[Dd]erivation "
    return {int(number) for number in re.findall(before + r"\((\d{1,2})\)", path.read_text(encoding="utf-8"))}


NAMED = {str(path.relative_to(HOUSE / "framecast")): named(path) for path in (HOUSE / "framecast").rglob("*.py")}


def table(head: str) -> list[list[str]]:
    """The cells of the table with that head."""
    body = PAGE.split(head + "\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[1:]]


def test_equations_are_numbered_in_order() -> None:
    assert [tag for tag in TAGS if tag.isdigit()] == [str(number) for number in range(1, 11)]
    assert [tag for tag in TAGS if not tag.isdigit()] == list("abcdefghij")


def test_every_number_in_the_code_is_an_equation_of_the_page_and_back() -> None:
    assert not {name: numbers - EQUATIONS for name, numbers in NAMED.items() if numbers - EQUATIONS}
    elsewhere = set[int]().union(*(numbers for name, numbers in NAMED.items() if name != "objective.py"))
    assert NAMED["objective.py"] | elsewhere == EQUATIONS
    assert NAMED["values.py"] == {6, 7, 8} and NAMED["schedules.py"] == {9, 10}
    assert NAMED["training/module.py"] == {10} and NAMED["rollout.py"] == {5, 10}


def test_every_number_in_the_text_is_an_equation() -> None:
    text = re.sub(r"```math.*?```", "", PAGE, flags=re.DOTALL)
    assert set(re.findall(r"(?<![\w$)])\((\d{1,2}|[a-j])\)", text)) <= set(TAGS)


def test_implied_sigmas_are_the_code_s() -> None:
    rows = table("| beta | D | implied sigma |")
    assert ["1", "6144", "55.4"] in rows
    for beta, values, sigma in rows:
        assert f"{implied_sigma(float(beta), int(values)):.3g}" == sigma


def test_calibrated_betas_are_the_code_s() -> None:
    rows = table("| PSNR (dB) | MSE | D | calibrated beta |")
    assert ["20", "0.01", "6144", "3.3e-06"] in rows
    for decibels, mse, values, beta in rows:
        exact = 10 ** (-float(decibels) / 10)
        assert f"{exact:.3g}" == mse
        assert f"{calibrated_beta(exact, int(values)):.2g}" == beta


def test_what_the_calibrated_beta_pays_for() -> None:
    (nats,) = re.findall(r"the same 0\.01 pays for up\s+to (\d+) nats", PAGE)
    assert 0.01 / calibrated_beta(0.01, 6144) == pytest.approx(int(nats))


def test_closed_forms_are_the_code_s() -> None:
    """(6), (7) and (8) as the page writes them."""
    mu, ell, m, lam, eps = torch.randn(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    q, p = Gaussian(mu, ell), Gaussian(m, lam)
    six = 0.5 * ((ell - lam).exp() + (mu - m) ** 2 * (-lam).exp() - 1 - (ell - lam))
    seven = 0.5 * (mu**2 + ell.exp() - 1 - ell)
    torch.testing.assert_close(q.kl(p), six)
    torch.testing.assert_close(q.kl(), seven)
    torch.testing.assert_close(q.sample(eps), mu + (ell / 2).exp() * eps)


def test_formulas_in_the_text_survive_code_hosts() -> None:
    """Markdown takes the backslash off before punctuation, and a formula broken over lines is none."""
    text = re.sub(r"```math.*?```", "", PAGE, flags=re.DOTALL)
    for line in text.splitlines():
        assert line.count("$") % 2 == 0, line
        assert not [formula for formula in re.findall(r"\$(.+?)\$", line) if re.search(r"\\[^a-zA-Z]", formula)], line
