import json

from bench import results as results_module
from bench.load import Request, read_requests
from bench.results import depth, differences, growth, save_results, table

ROW = {
    "per_second": 1_000.0,
    "unit": "requests",
    "p50_ms": 7.5,
    "p99_ms": 20.0,
    "statements": 2,
    "limit_per_second": 1_250.0,
    "ratio": 0.8,
    "target": 0.65,
}


def results(cpu: str = "one", **operations: dict) -> dict:
    return {"machine": {"cpu": cpu}, "operations": operations}


def test_a_row_below_its_target_is_marked():
    rows = {"quick": ROW, "slow": {**ROW, "ratio": 0.6}}
    _, quick, slow = table(rows)
    assert quick.split() == ["quick", "1,000", "requests", "7.50", "20.00", "2", "1,250", "0.80", "0.65"]
    assert slow.split()[-3:] == ["0.60", "0.65", "below"]


def test_a_partial_run_replaces_its_rows_alone(monkeypatch, tmp_path):
    file = tmp_path / "results.json"
    monkeypatch.setattr(results_module, "FILE", file)
    save_results("small", {"memory": {"mb": 100}, "operations": {"list": 1, "read": 2}})
    save_results("small", {"memory": {"mb": 50}, "operations": {"read": 3}}, is_partial=True)
    assert json.loads(file.read_text()) == {
        "small": {"memory": {"mb": 100}, "operations": {"list": 1, "read": 3}}
    }


def test_only_figures_that_moved_by_more_than_a_fifth_are_told():
    before = results(list=ROW, read=ROW)
    now = results(list={**ROW, "per_second": 700.0, "p99_ms": 22.0}, read={**ROW, "ratio": 0.7})
    assert list(differences(before, now)) == ["list: per_second 1000 -> 700 (-30%)"]


def test_results_of_another_processor_are_compared_by_ratio_alone():
    reported = list(
        differences(results(list=ROW), results("two", list={**ROW, "per_second": 1.0, "ratio": 0.5}))
    )
    assert reported[1:] == ["list: ratio 0.8 -> 0.5 (-38%)"]


def test_new_operations_have_not_moved():
    assert list(differences(results(), results(list=ROW))) == []


def test_growth_tells_how_much_slower_and_whether_statements_grow():
    small = results(list=ROW, read=ROW)
    large = results(list={**ROW, "per_second": 800.0}, read={**ROW, "statements": 3})
    assert [" ".join(line.split()) for line in growth(small, large)] == [
        "list 1.25 times slower",
        "read 1.00 times slower MORE STATEMENTS",
    ]


def test_last_pages_are_compared_with_first_ones():
    rows = {"items, a page": ROW, "items, the last page": {**ROW, "per_second": 500.0}}
    assert list(depth(rows)) == ["items, the last page: 2.00 times the cost of the first"]


def test_requests_go_over_the_wire_as_a_client_would_send_them(tmp_path):
    request = Request("PUT", "/a?b=c", (("Authorization", "Bearer t"),), b"[1]")
    content = (
        b"PUT /a?b=c HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer t\r\nContent-Length: 3\r\n\r\n[1]"
    )
    assert request.on_wire() == content
    file = tmp_path / "requests"
    file.write_bytes(b"%010d" % len(content) + content + b"0000000002ab")
    assert read_requests(file) == [content, b"ab"]
