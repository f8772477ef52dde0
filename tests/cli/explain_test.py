#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc explain: the chosen set, its worth, the next best, and why not another."""
import json
import os
import re
import xml.etree.ElementTree as tree

from cli import (BUILT_IN, case, folder, machine_file, main, ok, on_terminal,
                 refused, run, widest)

LAB, MIG = machine_file("lab.json"), machine_file("mig-kinds.json")
POLICIES = ["balanced", "bandwidth", "best-effort", "best-fit", "simple", "worst-fit"]


def explain(machine, *words, env=None):
    return ok("explain", "--machine", machine, *words, env=env)


def document(machine, *words, command="explain"):
    return json.loads(ok(command, "--json", "--machine", machine, *words))


def part(text, title):
    """The lines of one part, without their indent."""
    match = re.search(rf"^{title}\n((?:  .*\n)+)", text, re.M)
    return [line[2:] for line in match[1].splitlines()] if match else []


@case
def a_choice_in_words():
    assert explain("dgx1-volta", "-n", "3", "-p", "bandwidth", "--exclude", "1") == """\
dgx1-volta (simulated): policy bandwidth chose 0,2,3
  predicted bandwidth 60.0 GB/s, sum of pair scores 610
  value 60000 MB/s, proven: no set is worth more

CHOSEN
  0        Tesla V100-SXM2-16GB         GPU-44a48cb1-0000-0000-0000-000003000000
  2        Tesla V100-SXM2-16GB         GPU-81138013-0000-0000-0000-000003000002
  3        Tesla V100-SXM2-16GB         GPU-1f4af9c4-0000-0000-0000-000003000003

NEXT BEST
  4,6,7    60.0 GB/s, score 610, value 60000: the same
  5-7      60.0 GB/s, score 610, value 60000: the same
  4-6      40.0 GB/s, score 510, value 40000: 20.0 GB/s less
  4,5,7    40.0 GB/s, score 510, value 40000: 20.0 GB/s less
  0,3,4    40.0 GB/s, score 450, value 40000: 20.0 GB/s less

NOT CHOSEN
  1        excluded by the request
  4        free, but in place of 2: 40.0 GB/s, score 450, value 40000
  5        free, but in place of 0: 6.0 GB/s, score 270, value 6000
  6,7      free, but in place of 0: 20.0 GB/s, score 370, value 20000
"""


@case
def every_machine_fits_80_columns_and_one_screen():
    for machine in BUILT_IN:
        for count in ("1", "2", "3", "8", "16", "36"):
            result = run("explain", "--machine", machine, "-n", count)
            if result.code == 78:
                continue
            assert result.code == 0 and result.err == "", result
            assert widest(result.out) <= 80, f"{machine} -n {count}: {widest(result.out)} columns"
            assert len(result.out.splitlines()) <= 50, f"{machine} -n {count}: {result.out}"
            assert not re.search(r" $", result.out, re.M), result.out
            assert part(result.out, "CHOSEN"), result.out
        text = explain(machine, "--mig") if machine == "a100-mig" else ""
        assert not text or widest(text) <= 80, text


@case
def irregular_sets_of_many_devices_are_wrapped():
    odd = ",".join(str(i) for i in range(1, 72, 2))
    text = explain("nvl72", "-n", "30", "--only", odd)
    assert widest(text) <= 80 and len(text.splitlines()) <= 60, text
    assert "0, 2, 4, 6" in text and "not one of those asked for" in text, text
    for columns in (60, 79, 100):
        shown = on_terminal("explain", "--machine", "nvl72", "-n", "30", "--only", odd,
                            columns=columns)
        # A row with a UUID in it is never broken.
        rest = "\n".join(line for line in shown.splitlines() if "GPU-" not in line)
        assert widest(rest) <= columns, rest


@case
def it_answers_for_any_number_of_devices():
    # That takes a moment. Going through all sets would take years, so each part has a time limit.
    for machine, count in (("nvl72", "8"), ("nvl72", "16"), ("nvl72", "36"), ("pcie16", "8"),
                           ("dgx2", "8")):
        explain(machine, "-n", count)


@case
def it_chooses_what_pick_chooses():
    for words in (["-n", "2"], ["-n", "3", "-p", "best-effort"], ["--require", "5", "-n", "4"],
                  ["-p", "static-dgx1-volta", "-n", "2", "--exclude", "0"],
                  ["-p", "random", "--seed", "3", "-n", "3"], ["-m", "1GiB", "-p", "worst-fit"],
                  ["--only", "6,1,3", "-p", "simple", "-n", "2"]):
        one, other = document("dgx1-volta", *words), document("dgx1-volta", *words, command="pick")
        del one["alternatives"], one["rejected"], one["p2p"]
        assert one.pop("command") == "explain" and other.pop("command") == "pick"
        assert one == other, words


@case
def every_device_is_chosen_or_has_a_reason():
    for machine in BUILT_IN + [LAB, MIG]:
        mig = ["--mig"] if machine in ("a100-mig", MIG) else []
        mig += ["--ignore-processes"] if machine == MIG else []
        for policy in POLICIES[3:] if mig else POLICIES:
            explained = document(machine, "-p", policy, *mig)
            chosen = [device["id"] for device in explained["devices"]]
            rejected = [one["device"] for one in explained["rejected"]]
            listed = []
            for gpu in json.loads(ok("list", "--json", "--machine", machine))["devices"]:
                instances = [f"{gpu['index']}:{one['gi']}:{one['ci']}" for one in gpu["mig"] or []]
                listed += instances if mig and gpu["mig"] else \
                    [] if mig and gpu["mig"] == [] else [str(gpu["index"])]
            assert sorted(chosen + rejected) == sorted(listed), (machine, policy, explained)
            assert all(one["reason"] and set(one) == {"device", "reason"}
                       for one in explained["rejected"]), explained["rejected"]


@case
def reasons_name_what_stands_in_the_way():
    rows = part(explain(LAB, "--mixed", "-n", "2"), "NOT CHOSEN")
    assert "in use: process 4711 of alice (train.py) (--ignore-processes would" in "\n".join(rows)
    assert any(row.startswith("5 ") and "unhealthy: the driver has lost" in row for row in rows)
    rows = part(explain(LAB, "--model", "A6000", "--ignore-processes"), "NOT CHOSEN")
    assert rows[0] == "0-2      another model: NVIDIA GeForce RTX 3090", rows
    text = explain("dgx1-volta", env={"CUDA_VISIBLE_DEVICES": "2"})
    assert part(text, "NOT CHOSEN")[0].startswith("0,1,3-7  not in the inherited CUDA_VISIBLE"), text
    text = explain(LAB, "-p", "best-fit", "-m", "1GiB")
    assert "has 48.0 GiB free; policy best-fit took others first" in text, text
    text = explain("dgx1-volta", "-n", "2", "-p", "static-dgx1-volta", "--require", "0")
    assert "policy static-dgx1-volta has no set of this device" in text, text
    assert "NEXT BEST" not in text, text
    text = explain("a100-mig", "--mig", "-n", "2")
    assert "0        a whole GPU, not in MIG mode" in text and "GB/s" not in text, text


@case
def one_device_alone_has_no_bandwidth():
    for policy in POLICIES:
        assert "GB/s" not in explain("dgx2", "-p", policy), policy
    assert document("dgx2")["bandwidth"] is None


@case
def one_model_or_several():
    alternatives = document(LAB, "-n", "2", "--ignore-processes")["alternatives"]
    models = {"0": "3090", "1": "3090", "2": "3090", "3": "A6000", "4": "A6000"}
    assert alternatives
    for one in alternatives:
        assert len({models[device] for device in one["devices"]}) == 1, alternatives
    mixed = document(LAB, "-n", "2", "--ignore-processes", "--mixed")["alternatives"]
    assert any(len({models[device] for device in one["devices"]}) == 2 for one in mixed), mixed


@case
def alternatives_are_worth_less_in_order_and_hold_the_required():
    for machine in ("dgx1-volta", "dgx1-pascal", "rtx8000x4", "pcie16"):
        for policy in ("balanced", "bandwidth", "best-effort"):
            explained = document(machine, "-n", "3", "-p", policy, "--require", "2")
            worth = [(one["value"], one["bandwidth"], one["score"])
                     for one in explained["alternatives"]]
            assert 1 <= len(worth) <= 5 and worth == sorted(worth, reverse=True), worth
            assert explained["proven"] is (explained["value"] == explained["bound"]), explained
            if explained["proven"]:
                assert worth[0][0] <= explained["value"], (machine, policy, explained)
            for one in explained["alternatives"]:
                assert "2" in one["devices"] and len(set(one["devices"])) == 3, one
                assert list(one) == ["devices", "value", "score", "bandwidth"], one


@case
def json_has_every_key_in_order():
    assert list(document("dgx1-volta", "-n", "2")) == \
        ["schema", "command", "machine", "devices", "policy", "value", "bound", "proven", "score",
         "bandwidth", "left", "p2p", "alternatives", "rejected"]
    explained = document("rtx8000x4", "-n", "2", "-p", "best-effort", "--exclude", "2")
    assert explained["rejected"] == [
        {"device": "1", "reason": "free, but in place of 3: 9.0 GB/s, score 20, value 20"},
        {"device": "2", "reason": "excluded by the request"}], explained["rejected"]
    assert explained["alternatives"][0] == \
        {"devices": ["0", "1"], "value": 20, "score": 20, "bandwidth": 9000}


@case
def an_unproven_choice_has_a_gap():
    with folder() as where:
        path = os.path.join(where, "random.json")
        count, state = 40, 1
        links = [[0] * count for _ in range(count)]
        for i in range(count):
            for j in range(i):
                state = state * 1103515245 + 12345 & 0x7fffffff
                links[i][j] = links[j][i] = state >> 16 & 7
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"gpualloc_machine": 1, "devices": [{"index": i} for i in range(count)],
                       "pcie": [["X" if i == j else "SYS" for j in range(count)]
                                for i in range(count)], "nvlink": links}, file)
        explained = document(path, "-n", "9", "-p", "best-effort")
        text = explain(path, "-n", "9", "-p", "best-effort")
        assert explained["bound"] >= explained["value"], explained
        assert all(one["value"] is None for one in explained["alternatives"]), explained
        if explained["proven"]:
            assert "proven: no set is worth more" in text, text
        else:
            assert re.search(rf"value {explained['value']}, not proven: no set is worth more than "
                             rf"{explained['bound']} \(a gap of \d+\.\d %\)", text), text


@case
def a_picture_with_the_chosen_set():
    with folder() as where:
        path = os.path.join(where, "choice.svg")
        text = explain("dgx1-volta", "-n", "3", "--svg", path)
        assert text == explain("dgx1-volta", "-n", "3")
        plain = ok("topo", "--machine", "dgx1-volta", "--svg", "-")
        with open(path, encoding="utf-8") as file:
            picture = file.read()
        tree.fromstring(picture)
        assert picture.count('class="gpu chosen"') == 3 and "chosen by balanced" in picture
        assert 'class="gpu chosen"' not in plain and "chosen by" not in plain
        assert explain("dgx1-volta", "-n", "3", "--svg", "-") == picture
        document("dgx1-volta", "-n", "3", "--svg", path)
    refused(64, "explain", "--json", "--svg", "-", "--machine", "dgx2", says=["stdout"])
    refused(74, "explain", "--svg", "/nonexistent/x.svg", "--machine", "dgx2",
            says=["/nonexistent/x.svg"])


@case
def explain_refuses_in_the_words_of_pick():
    for words in (["-n", "10"], ["-n", "0"], ["-p", "foo"], ["--only", ""], ["-m", "8Gigs"],
                  ["--require", "3", "--exclude", "3"], ["--mig", "1g.5gb"],
                  ["-m", "1TiB"], ["--share"]):
        one = run("explain", "--machine", "dgx1-volta", *words)
        other = run("pick", "--machine", "dgx1-volta", *words)
        assert one.code == other.code in (64, 78) and one.raw == other.raw == b"", (one, other)
        assert one.err.replace("explain", "pick") == other.err, (one, other)
    refused(75, "explain", "--machine", LAB, "--only", "2", says=["process 4711 of alice"])
    refused(69, "explain", "--machine", machine_file("empty.json"), says=["no GPU"])


main()
