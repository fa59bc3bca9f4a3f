"""Tables in every usual dress, and one clear message for each that is none."""

import io

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from elman.data.tables import read_table
from elman.errors import InputError

ROWS = [["2024-01-01", 1.5, "a"], ["2024-01-02", None, "b, c"], ["2024-01-03", -2.0, 'say "d"']]


def table(text):
    return read_table(io.BytesIO(text if isinstance(text, bytes) else text.encode()))


def written(separator=",", end="\n", start="", missing=""):
    lines = [["day", "level", "word"]]
    lines += [[day, missing if y is None else str(y), '"' + word.replace('"', '""') + '"'] for day, y, word in ROWS]
    return start + end.join(separator.join(line) for line in lines) + end


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_csv_in_every_usual_dress(separator, end, start):
    frame = table(written(separator, end, start)).frame
    assert frame.columns == ["day", "level", "word"]
    assert frame["day"].dtype == pl.Date
    assert frame["level"].to_list() == [1.5, None, -2.0]
    assert frame["word"].to_list() == [row[2] for row in ROWS]


@pytest.mark.parametrize("missing", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "?", " ", " NA "])
def test_every_spelling_of_missing(missing):
    assert table(written(missing=missing)).numbers("level").to_list() == [1.5, None, -2.0]


def test_spaces_around_names_and_values_mean_nothing():
    found = table("day , level\n2024-01-01, 1.5\n2024-01-02, 2 \n")
    assert found.frame.columns == ["day", "level"]
    assert found.numbers("level").to_list() == [1.5, 2]


def test_separators_within_quotes_of_the_header_do_not_count():
    found = table('"rain, mm, daily";"level, m"\n1;2\n')
    assert found.frame.columns == ["rain, mm, daily", "level, m"]


def test_blank_lines_at_the_end_are_no_rows():
    assert table("a,b\n1,2\n3,\n\n\r\n").frame.rows() == [(1, 2), (3, None)]


def test_parquet(tmp_path):
    frame = pl.DataFrame(ROWS, schema=["day", "level", "word"], orient="row")
    frame.write_parquet(tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")
    assert found.frame.equals(frame)
    assert found.row(1) == "row 2"  # a Parquet file has no lines


def test_a_file_is_known_by_its_bytes_and_a_frame_by_its_values(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    same, other = table("a,b\n1,2\n"), table("a,b\n1,3\n")
    assert read_table(tmp_path / "t.csv").sha256 == same.sha256 != other.sha256
    frames = [pl.DataFrame({"a": [1, k]}) for k in (2, 2, 3)]
    hashes = [read_table(frame).sha256 for frame in frames]
    assert hashes[0] == hashes[1] != hashes[2]


KINDS = {"polars": pl.DataFrame, "pandas": pd.DataFrame, "pyarrow": pa.table}


@pytest.mark.parametrize("kind", KINDS)
def test_law_the_same_kind_of_frame_goes_out_as_came_in(kind):
    given = KINDS[kind]({"ds": [1, 2, 3], "y": [0.5, float("nan"), 2.5]})
    found = read_table(given)
    assert found.numbers("y").to_list() == [0.5, None, 2.5]
    back = found.give_back(found.frame.select("y", twice=pl.col("ds") * 2))
    assert type(back) is type(given)
    assert list(back["twice"]) == list(KINDS[kind]({"t": [2, 4, 6]})["t"])


def test_a_table_is_itself():
    found = read_table(pl.DataFrame({"a": [1]}))
    assert read_table(found) is found


def test_times_in_pandas_index_are_a_column():
    days = pd.date_range("2024-01-01", periods=3, name="day")
    assert read_table(pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=days)).frame.columns == ["day", "y"]
    both = pd.MultiIndex.from_product([["a"], days], names=["id", "day"])
    assert read_table(pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=both)).frame.columns == ["id", "day", "y"]
    assert read_table(pd.DataFrame({"y": [1.0, 2.0]}, index=[7, 9])).frame.columns == ["y"]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (pl.Series([1, None, 3]), [1, None, 3]),
        (pl.Series([1.5, float("nan"), None]), [1.5, None, None]),
        (pl.Series([True, False, None]), [1, 0, None]),
        (pl.Series(["5", None, " 7.5"]).str.strip_chars(), [5, None, 7.5]),
        (pl.Series(["7", "5", "7"], dtype=pl.Categorical), [7, 5, 7]),  # what it says, not its code
        (pl.Series(["7", "5", None], dtype=pl.Enum(["5", "7"])), [7, 5, None]),
        (pl.Series([None, None, None]), [None, None, None]),
        (pl.Series([None, None, None], dtype=pl.String), [None, None, None]),
        (pl.Series(["1.25", None, "3"]).cast(pl.Decimal(10, 2)), [1.25, None, 3]),
    ],
)
def test_numbers_of_every_type(values, numbers):
    found = read_table(pl.DataFrame({"a": values})).numbers("a")
    assert found.dtype == pl.Float64
    assert found.to_list() == numbers


def test_a_column_of_missing_values_alone_is_one_of_numbers():
    assert table("a,b\n1,\n2,NA\n").numbers("b").to_list() == [None, None]


# Bad input ------------------------------------------------------------------------------------------------------

BAD = {
    "empty": (b"", "standard input is empty; a table with a header line was expected"),
    "blank": (b" \n\r\n ", "standard input is empty"),
    "header only": (b"a,b\n", "standard input has a header line and no rows"),
    "binary": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "not a table: it holds binary data; a CSV or Parquet file was expected",
    ),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), "not a table: it holds binary data"),
    "latin-1": ("a,b\n1,Höhe\n".encode("latin-1"), r"is not UTF-8 text \(byte 7\); save it as UTF-8"),
    "too long": (b"a,b\n1,2\n3,4,5\n6,7\n", r"row 2 \(line 3\): 2 values were expected, as in the header; found 3"),
    "too short": (b"a,b,c\n1,2,3\n4,5\n6,7,8\n", r"row 2 \(line 3\): 3 values were expected.*; found 2"),
    "blank row": (b"a,b\n1,2\n\n3,4\n", r"row 2 \(line 3\): 2 values were expected.*; found 0"),
    "same name twice": (b"a,b,a\n1,2,3\n", "has 2 columns named 'a'; each needs its own name"),
    "same but for spaces": (b"a,b, a\n1,2,3\n", "has 2 columns named 'a'"),
    "half a parquet": (b"PAR1 and then nothing", "standard input can't be read as a table"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_is_refused_in_one_sentence(case):
    data, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        table(data)
    assert "\n" not in str(caught.value)


def test_a_truncated_parquet_file_is_refused_wherever_it_ends(tmp_path):
    pl.DataFrame({"a": range(50)}).write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for end in range(4, len(whole), 40):
        (tmp_path / "t.parquet").write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"t.parquet can't be read as a table"):
            read_table(tmp_path / "t.parquet")


def test_paths_that_lead_to_no_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.csv does not exist"):
        read_table(str(tmp_path / "nowhere.csv"))
    with pytest.raises(InputError, match="can't be read: Is a directory"):
        read_table(tmp_path)


@pytest.mark.parametrize("thing", [7, None, {"a": [1]}, [1, 2], pl.LazyFrame({"a": [1]})])
def test_what_is_no_frame_is_refused_by_its_type(thing):
    with pytest.raises(InputError, match=f"a table was expected .*, found {type(thing).__name__}"):
        read_table(thing)


def test_frames_that_can_not_be_read():
    with pytest.raises(InputError, match="the table has no rows"):
        read_table(pl.DataFrame({"a": []}))
    with pytest.raises(InputError, match=r"names of their own.*'a'"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"t.csv has no column 'c' \(target\); its columns are: a, b"):
        read_table(tmp_path / "t.csv").need("c", "target")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,high\n", r"row 2 \(line 3\), column 'b': a number was expected, found 'high'"),
        ("a;b\n1;2,5\n3;2,75\n", r"row 1 \(line 2\), column 'b': a number was expected, found '2,5' \(write decimals"),
        ("a,b\n1,2\n3,4\n5,inf\n", r"row 3 \(line 4\), column 'b': a finite number was expected, found inf"),
        ("a,b\n1,-inf\n", r"row 1 \(line 2\), column 'b': a finite number was expected"),
        ("a,b\n1,2024-01-01\n", "column 'b' of standard input holds Date; numbers were expected"),
    ],
)
def test_what_is_no_number_is_named_by_row_line_and_column(text, message):
    with pytest.raises(InputError, match=message):
        table(text).numbers("b")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.Series([1, "x", None], dtype=object), "the table, row 2, column 'a': a number was expected, found 'x'"),
        (pl.Series(["1", "x"], dtype=pl.Categorical), "row 2, column 'a': a number was expected, found 'x'"),
        (pl.Series([[1], [2]]), "column 'a' of the table holds List"),
        (pl.Series([b"1"]), "column 'a' of the table holds Binary"),
        (pl.Series([1.0, float("inf")]), "row 2, column 'a': a finite number was expected, found inf"),
    ],
)
def test_what_is_no_number_in_a_frame_is_named_by_row_and_column(values, message):
    frame = pd.DataFrame({"a": values}) if isinstance(values, pd.Series) else pl.DataFrame({"a": values})
    with pytest.raises(InputError, match=message):
        read_table(frame).numbers("a")
