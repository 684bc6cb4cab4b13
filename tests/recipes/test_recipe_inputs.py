"""What a recipe may say of its inputs."""

from pathlib import Path

import pytest

from curate.sources import InputError
from recipes.app.recipe.build import corpus_run
from recipes.app.recipe.load import RecipeError, load


def recipe(folder: Path, inputs: str) -> str:
    (folder / "r.yaml").write_text(f"name: r\ninputs: [{inputs}]\nsteps: [gopher_quality]\n")
    return str(folder / "r.yaml")


def test_credentials_in_an_address_are_a_mistake_of_the_recipe_and_are_not_repeated(tmp_path):
    with pytest.raises(RecipeError) as raised:
        load(recipe(tmp_path, "{path: 's3://AKIA123:pass/word@bucket/x.jsonl'}"))
    assert "may carry credentials" in str(raised.value) and "AWS_SECRET_ACCESS_KEY" in str(raised.value)
    assert "AKIA123" not in str(raised.value) and "word" not in str(raised.value)


def test_what_only_the_hub_understands_needs_its_format(tmp_path):
    with pytest.raises(RecipeError, match="`revision` and `subset`: only with `format: hub`"):
        load(recipe(tmp_path, "{path: a.jsonl, revision: main, subset: en}"))


def test_paths_are_meant_from_the_recipe_and_addresses_and_ids_as_they_stand(tmp_path):
    pytest.importorskip("datasets", reason="the extra `hub` is not installed")
    from upath import UPath

    (tmp_path / "a.jsonl").write_text('{"text": "t"}\n')
    UPath("memory://recipe-inputs/b.jsonl").write_text('{"text": "t"}\n')
    given = "{path: a.jsonl}, {name: store, path: 'memory://recipe-inputs/*.jsonl'}"
    given += ", {name: hub, path: owner/name, format: hub, subset: en, split: test, revision: main}"
    run = corpus_run(load(recipe(tmp_path, given)), tmp_path / "out")
    crawl, hub, store = run.partitions
    assert (crawl.path, store.relative) == (tmp_path / "a.jsonl", "b.jsonl")
    assert (hub.dataset.path, hub.dataset.revision, hub.relative) == ("owner/name", "main", "owner/name/en/test")


@pytest.mark.parametrize("inputs", ["{path: in}", "{path: in/out/text/*.jsonl}", "{path: link}", "{path: 'in/**'}"])
def test_a_run_never_reads_what_a_run_writes(tmp_path, inputs):
    (tmp_path / "in" / "out" / "text").mkdir(parents=True)
    (tmp_path / "in" / "out" / "text" / "a.jsonl").write_text('{"text": "t"}\n')
    (tmp_path / "link").symlink_to(tmp_path / "in")
    loaded = load(recipe(tmp_path, inputs))
    with pytest.raises(InputError, match="overlap: name another output folder"):
        corpus_run(loaded, tmp_path / "in" / "out")
    assert len(corpus_run(loaded, tmp_path / "in-curated").partitions) == 1
