"""`goldsand check` finds every mistake at once: the line, the wrong word, what is allowed, the nearest match."""

from pathlib import Path

import pytest

from recipes.app.recipe.load import RecipeError, built_in_names, load

BAD = """\
name: bad recipe
inputz: []
steps:
  - exact_dedup: {normalise: wrong}
  - minhash_dedupp
  - minhash_dedup:
      threshold: 3
output:
  tokens:
    raw: {from: extracted}
"""


def problems_of(path: Path, *sets: str) -> dict[int | None, str]:
    with pytest.raises(RecipeError) as caught:
        load(str(path), list(sets))
    return {problem.line: f"{problem.where}: {problem.message}" for problem in caught.value.problems}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_every_mistake_is_found_at_once_with_its_line(tmp_path):
    found = problems_of(write(tmp_path, BAD))
    assert sorted(found) == [1, 2, 4, 5, 7, 10]
    assert "did you mean 'inputs'" in found[2]
    assert "'none', 'whitespace-and-case' or 'words'" in found[4]
    assert "did you mean 'minhash_dedup'" in found[5]
    assert "less than or equal to 1 (it says 3)" in found[7]
    assert "did you mean 'extract'" in found[10]


def test_yaml_that_does_not_parse_is_named_with_its_line(tmp_path):
    found = problems_of(write(tmp_path, "name: a\nsteps: [\n"))
    assert "not valid YAML" in found[3]


def test_a_key_written_twice_is_a_mistake(tmp_path):
    found = problems_of(write(tmp_path, "name: a\nname: b\n"))
    assert any("duplicate" in message.lower() for message in found.values())


def test_the_nearest_built_in_recipe_is_offered(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'quickstart'"):
        load("quickstrat")


@pytest.mark.parametrize("name", built_in_names())
def test_built_in_recipes_have_no_mistakes(name):
    assert load(name).recipe.name == name


def test_set_reaches_values_and_step_parameters(tmp_path):
    path = write(tmp_path, "name: a\nsteps:\n  - exact_dedup\n  - minhash_dedup: {threshold: 0.9}\n")
    loaded = load(str(path), ["minhash_dedup.threshold=0.7", "max_loss=0.5", "exact_dedup.normalise=none"])
    assert loaded.steps[1].threshold == 0.7
    assert loaded.recipe.max_loss == 0.5


def test_a_wrong_set_is_a_mistake_like_any_other(tmp_path):
    path = write(tmp_path, "name: a\nsteps: [exact_dedup]\n")
    assert "did you mean 'max_loss'" in problems_of(path, "max_los=1")[None]
    assert "write it as key.key=value" in problems_of(path, "max_loss")[None]
    assert "normalise" in problems_of(path, "exact_dedup.normalize=none")[3 - 1]


def test_extract_must_come_first_and_a_file_must_be_there(tmp_path):
    path = write(tmp_path, "name: a\nsteps:\n  - exact_dedup\n  - extract\n  - decontaminate: {questions: no.jsonl}\n")
    found = problems_of(path)
    assert "must be the first step" in found[2] and "no.jsonl" in found[5]


@pytest.mark.parametrize("name", ["../../elsewhere", "..", "a/b", "a\\nb", ""])
def test_a_token_set_is_a_folder_below_tokens_and_nowhere_else(tmp_path, name):
    text = f'name: r\nsteps: [exact_dedup]\noutput:\n  tokens:\n    "{name}": {{domain: none}}\n'
    problem = next(iter(problems_of(write(tmp_path, text)).values()))
    assert problem.startswith("output.tokens") and "use letters, digits" in problem


def test_records_want_a_vocabulary_with_their_words_and_a_name_of_their_own(tmp_path):
    text = "name: r\ninputs: [{path: a, name: inject}]\nsteps: [inject]\noutput:\n  tokens: {all: {}}\n"
    found = problems_of(write(tmp_path, text))
    assert "no tokens for the words of records: use `kind: joint`" in found[4]
    assert "cannot be named `inject`" in found[2]
    text = text.replace("name: inject", "name: b").replace("[inject]", "[inject: {kind: people}]")
    assert load(str(write(tmp_path, text))).recipe.name == "r"
