"""The cards of the landing page: their figures come from the record."""

import math

import pytest

from scgen_book import experiments
from scgen_book.answers import CHAPTERS, cards
from scgen_book.pages import cards as pages
from scgen_book.plots.cards import card

SCORES = {"with dropout": (-0.05, math.nan, False), "DCA": (0.55, 0.1, True)}


def test_what_cards_show_is_measured():
    assert set(cards.SHOWN) == set(CHAPTERS)
    for shown in cards.SHOWN.values():
        experiment = experiments.get(shown.experiment)
        assert set(shown.methods) <= set(experiment.methods)
        assert set(shown.models) <= set(shown.methods)
        assert shown.metric in experiment.metrics


def test_a_bar_a_method_with_its_number_and_models_in_colour():
    fig = card(SCORES, "silhouette", "splat_g6")
    fig.canvas.draw()
    (ax,) = fig.axes
    bars = [patch for patch in ax.patches if patch.get_width()]
    assert [bar.get_width() for bar in bars] == [-0.05, 0.55]
    assert bars[0].get_facecolor() != bars[1].get_facecolor()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["with dropout", "DCA"]
    assert [text.get_text() for text in ax.texts] == ["−0.05", "0.55"]
    assert ax.get_title(loc="right") == "six simulated groups"
    # three inches are 300 pixels, at which eight points are eleven pixels
    assert fig.get_figwidth() == 3
    assert min(text.get_fontsize() for text in (*ax.texts, *ax.get_yticklabels(), *ax.get_xticklabels())) >= 7.5


def test_a_figure_says_in_words_what_it_shows(monkeypatch):
    monkeypatch.setattr(cards, "card", lambda chapter: cards.Card(SCORES, "silhouette", "six groups"))
    image, words = pages.drawn("dca")
    assert image.startswith(b"\x89PNG")
    assert words == "silhouette, six groups: with dropout -0.05, DCA 0.55."


def test_without_rows_of_a_model_there_is_no_figure_of_the_record(monkeypatch, tmp_path):
    from scgen_book import record

    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
    assert pages.drawn("dca") is None
    assert pages.drawn("of somebody") is None
    row = {"experiment": "dca.figure2", "dataset": "dca_g6_fig2", "seed": 0, "settings": {}, "status": "ok"}
    row |= {"reason": None, "variant": None, "claims": {}, "scores": {"silhouette": 0.1, "groups": 6.0}}
    kept.add(row | {"method": "observed"}, 1.0, {"batch": "made up"})
    assert cards.card("dca") is None
    kept.add(row | {"method": "zinb"}, 1.0, {"batch": "made up"})
    found = cards.card("dca").scores
    assert {name: score[0] for name, score in found.items()} == pytest.approx({"with dropout": 0.1, "DCA": 0.1})
