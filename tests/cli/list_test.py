#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc list: what a person sees, and what a program gets."""
import csv
import io
import json
import re

from cli import (BUILT_IN, case, folder, machine_file, main, ok, on_terminal, refused,
                 run, widest)
from leasing import store

FILES = ["busy.json", "crowded.json", "odd.json"]
RED, YELLOW, GREEN = "\033[31m", "\033[33m", "\033[32m"


@case
def every_machine_fits_80_columns():
    for machine in BUILT_IN + [machine_file(name) for name in FILES]:
        text = ok("list", "--machine", machine)
        assert widest(text) <= 80, f"{machine}: {widest(text)} columns"
        assert not re.search(r" $", text, re.M), f"{machine}: blanks at the end of a line"


@case
def a_terminal_of_60_to_300_columns_is_never_exceeded():
    for columns in (60, 79, 80, 100, 133, 200, 300):
        for name in FILES:
            shown = on_terminal("list", "--machine", machine_file(name), columns=columns,
                                env={"NO_COLOR": "1"})
            assert widest(shown) <= columns, f"{name}: {widest(shown)} of {columns} columns"


@case
def one_row_per_device_and_instance():
    text = ok("list", "--machine", machine_file("busy.json"))
    lines = text.splitlines()
    assert lines[0] == "node7: 3 GPUs, 2 MIG instances, driver 550.54.15, source nvml", lines[0]
    assert [line.split()[0] for line in lines if re.match(r"\s*\d+(:| )", line)] == \
        ["0", "1", "2", "2:1:0", "2:9:0"], text
    assert re.search(r"^0 .* free +0\.0/40\.0 GiB +0%$", text, re.M), text
    assert re.search(r"^1 .* in-use +20\.0/40\.0 GiB +97% +alice +train\.py and 1", text, re.M), text
    assert "process 4711 of alice (train.py) and 1 more" in text, text
    assert re.search(r"^2 .* MIG ", text, re.M), text
    assert re.search(r"^  2:1:0 +3g\.20gb +in-use +1\.0/19\.5 GiB", text, re.M), text


@case
def an_unknown_value_is_a_dash_and_never_zero():
    text = ok("list", "--machine", machine_file("odd.json"))
    assert re.search(r"^0 +- +free +- +- +-$", text, re.M), text
    assert re.search(r"^3 .* unhealthy +- +- +- ", text, re.M), text
    assert "reboot" in text and "prohibited" in text and "without an instance" in text, text


@case
def a_wide_terminal_has_everything_on_one_line():
    shown = on_terminal("list", "--machine", machine_file("busy.json"), columns=200,
                        env={"NO_COLOR": "1"})
    assert re.search(r"^1 +NVIDIA A100-SXM4-40GB .* 2 +alice +train\.py and 1 more +GPU-d7c1a7e2",
                     shown, re.M), shown
    assert "process 4711" not in shown, shown
    assert "process 4711 of alice (train.py) and 1 more" in on_terminal(
        "list", "-v", "--machine", machine_file("busy.json"), columns=200)


@case
def whole_names_and_uuids_where_there_is_room():
    shown = on_terminal("list", "--machine", machine_file("crowded.json"), columns=300,
                        env={"NO_COLOR": "1"})
    assert "Workstation Edition with an exceedingly long name" in shown, shown
    assert "GPU-0a000000-0000-4000-8000-000000000001" in shown, shown


@case
def short_uuids_are_unique_beginnings_of_at_least_eight_digits():
    for machine in BUILT_IN:
        uuids = [row["uuid"] for row in
                 csv.DictReader(io.StringIO(ok("list", "--csv", "--machine", machine)))]
        shown = re.findall(r"(?:GPU|MIG)-[0-9a-f-]+$", ok("list", "--machine", machine), re.M)
        assert len(shown) == len(uuids), f"{machine}: {shown}"
        for short, whole in zip(shown, uuids):
            assert whole.startswith(short) and len(short) >= 12, (short, whole)
            assert sum(uuid.startswith(short) for uuid in uuids) == 1, short


@case
def colour_only_on_a_terminal_that_wants_it():
    words = ("list", "--machine", machine_file("odd.json"))
    shown = on_terminal(*words)
    assert RED + "unhealthy\033[0m" in shown and GREEN + "free\033[0m" in shown, shown
    assert YELLOW + "in-use" in on_terminal("list", "--machine", machine_file("busy.json"))
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": None}):
        assert "\033" not in on_terminal(*words, env=env), env
    assert "\033" in on_terminal(*words, env={"NO_COLOR": ""})
    assert "\033" not in ok(*words)
    assert "\033" not in ok(*words, env={"CLICOLOR_FORCE": "1"})


@case
def colours_change_no_column():
    for name in FILES:
        words = ("list", "--machine", machine_file(name))
        plain = on_terminal(*words, columns=120, env={"NO_COLOR": "1"})
        assert re.sub(r"\033\[[0-9;]*m", "", on_terminal(*words, columns=120)) == plain, name


@case
def simulated_machines_say_so_everywhere():
    for machine in BUILT_IN:
        assert ok("list", "--machine", machine).startswith(f"{machine} (simulated): "), machine
        document = json.loads(ok("list", "--json", "--machine", machine))
        assert document["machine"]["simulated"] is True, document["machine"]
    assert "simulated" not in ok("list", "--machine", machine_file("busy.json"))


@case
def a_machine_without_gpus_is_69_and_a_sentence():
    for form in ([], ["--json"], ["--csv"]):
        refused(69, "list", *form, "--machine", machine_file("empty.json"),
                says=["there is no GPU on this machine", "source nvml, driver 550.54.15"])


USE = {"utilization": None, "lease": None, "leases": [], "kept_for": None}


@case
def json_has_every_key_and_null_for_unknown_values():
    document = json.loads(ok("list", "--json", "--machine", machine_file("busy.json")))
    assert list(document) == ["schema", "command", "machine", "devices"], list(document)
    assert document["schema"] == 1 and document["command"] == "list"
    assert document["machine"] == {"name": "node7", "source": "nvml", "driver": "550.54.15",
                                   "simulated": False}
    assert document["devices"][1] == {
        "index": 1, "uuid": "GPU-d7c1a7e2-5d0c-4f5e-9a52-1f8d2b6f3a12",
        "name": "NVIDIA A100-SXM4-40GB", "state": "in-use",
        "reason": "process 4711 of alice (train.py) and 1 more",
        "memory": {"total": 42949672960, "reserved": 634388480, "used": 21474836480,
                   "free": 20840448000},
        "utilization": 97,
        "processes": [
            {"pid": 4711, "type": "C", "memory": 20401094656, "user": "alice", "name": "train.py"},
            {"pid": 4712, "type": "C", "memory": 1073741824, "user": "bob", "name": "train.py"}],
        "lease": None, "leases": [], "kept_for": None, "pci": "00000000:0F:00.0", "serial": "1563221005424", "numa": 3,
        "display": False, "compute_mode": "default", "health": "ok", "mig": None}
    assert document["devices"][2]["mig"][1] == {
        "gi": 9, "ci": 0, "profile": "1g.5gb", "uuid": "MIG-9b1d4e66-4c9f-5d22-9e4a-8b2dae4f1c02",
        "state": "free", "reason": None,
        "memory": {"total": 5100273664, "reserved": 0, "used": 0, "free": 5100273664},
        "processes": [], **USE}
    odd = json.loads(ok("list", "--json", "--machine", machine_file("odd.json")))
    assert odd["machine"] == {"name": None, "source": None, "driver": None, "simulated": False}
    assert odd["devices"][0] == {
        "index": 0, "uuid": None, "name": None, "state": "free", "reason": None,
        "memory": {"total": None, "reserved": None, "used": None, "free": None},
        "processes": None, "pci": None, "serial": None, "numa": None,
        "display": None, "compute_mode": None, "health": "ok", "mig": None, **USE}
    assert odd["devices"][3]["mig"] == []


@case
def csv_reads_back_as_json_has_it():
    for machine in BUILT_IN + [machine_file(name) for name in FILES]:
        rows = list(csv.DictReader(io.StringIO(ok("list", "--csv", "--machine", machine),
                                               newline="")))
        devices = json.loads(ok("list", "--json", "--machine", machine))["devices"]
        expected = []
        for gpu in devices:
            expected.append((str(gpu["index"]), gpu, gpu))
            for one in gpu["mig"] or []:
                expected.append((f"{gpu['index']}:{one['gi']}:{one['ci']}", one, gpu))
        assert len(rows) == len(expected), machine
        for row, (index, device, gpu) in zip(rows, expected):
            processes = device["processes"]
            wanted = {
                "index": index, "uuid": device["uuid"], "name": gpu["name"],
                "profile": device.get("profile"), "state": device["state"],
                "reason": device["reason"], "utilization": device["utilization"],
                "processes": None if processes is None else len(processes),
                "pci": gpu["pci"], "numa": gpu["numa"], "health": gpu["health"],
                **{"memory_" + key: value for key, value in device["memory"].items()}}
            wanted = {key: "" if value is None else str(value) for key, value in wanted.items()}
            assert row == wanted, f"{machine}: {row} is not {wanted}"


@case
def only_some_devices():
    path = machine_file("busy.json")

    def shown(*words):
        rows = csv.DictReader(io.StringIO(ok("list", "--csv", *words, "--machine", path)))
        indices = [row["index"] for row in rows]
        devices = json.loads(ok("list", "--json", *words, "--machine", path))["devices"]
        assert [str(device["index"]) for device in devices] == \
            [index for index in indices if ":" not in index], (words, devices)
        assert sum(len(device["mig"] or []) for device in devices) == \
            sum(":" in index for index in indices), (words, devices)
        lines = ok("list", *words, "--machine", path).split("\n\n  ")[0].splitlines()[3:]
        assert [line.split()[0] for line in lines] == indices, (words, lines)
        return indices

    assert shown("--free") == ["0", "2", "2:9:0"]
    assert shown("--user", "alice") == ["1"]
    assert shown("--user", "carol") == ["2", "2:1:0"]
    assert shown("--user", "nobody-there") == []
    refused(64, "list", "--free", "--mine", "--machine", path, says=["--free shows what nobody"])
    refused(64, "list", "--user", "x", "--mine", "--machine", path, says=["use one of them"])


@case
def eight_leased_gpus_fit_on_a_small_screen():
    with store() as one:
        holders = [one.hold("-n", "4", "--note", "a note"), one.hold("-n", "3"),
                   one.hold("--share", "-m", "4GiB", "--time-limit", "30m"),
                   one.hold("--share", "-m", "2GiB")]
        words = ("--machine", one.machine)
        env = {"GPUALLOC_STATE_DIR": one.path, "NO_COLOR": "1"}
        for columns in (80, 100, 160):
            text = on_terminal("list", *words, columns=columns, env=env)
            assert len(text.splitlines()) == 11 and widest(text) <= columns, text
            assert len(re.findall(r" leased .* \d\d:\d\d  (?:sh -c|2 leases)", text)) == 8, text
            assert "GiB left" in text or columns == 80, text
            text = on_terminal("leases", *words, columns=columns, env=env)
            assert len(text.splitlines()) <= 24 and widest(text) <= columns, text
            assert len(re.findall(r"(?m)^[0-9a-f]{10} .* (?:\d+ s|1 min) +(?:-|30 min|29 min) +"
                                  r"sh -c echo", text)) == 4, text
        text = one.ask("list", *words)
        assert text.count("(lease ") == 4 and widest(text) <= 80, text  # once a lease
        assert one.ask("list", "--free", *words).endswith("none of them is free\n")
        assert len(re.findall(r"(?m)^\d ", one.ask("list", "--mine", *words))) == 8
        for holder in holders:
            holder.end()


@case
def one_format_at_a_time():
    refused(64, "list", "--json", "--csv", "--machine", "dgx2", says=["--json and --csv"])


@case
def a_thousand_devices_are_listed():
    with folder() as where:
        path = f"{where}/many.json"
        rows = []
        for i in range(1000):
            cells = ["null"] * 1000
            cells[i] = '"X"'
            rows.append("[" + ",".join(cells) + "]")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"gpualloc_machine": 1, "devices": [')
            file.write(",".join(f'{{"index": {i}, "uuid": "GPU-{i:08x}-0"}}' for i in range(1000)))
            file.write('], "pcie": [' + ",\n".join(rows) + "]}")
        text = ok("list", "--machine", path)
        assert len(text.splitlines()) == 1003 and widest(text) <= 80
        assert len(json.loads(ok("list", "--json", "--machine", path))["devices"]) == 1000
        assert len(ok("topo", "--machine", path).splitlines()) > 1000


@case
def notes_go_to_stderr_and_quiet_removes_them():
    path = f"{machine_file('..')}/topo/2of8-a100-8nic-noaff.txt"
    loud, quiet = run("list", "--machine", path), run("list", "-q", "--machine", path)
    assert loud.code == quiet.code == 0 and loud.out == quiet.out, (loud, quiet)
    assert quiet.err == "", quiet
    assert all(line.startswith("gpualloc: note: ") for line in loud.err.splitlines()), loud


main()
