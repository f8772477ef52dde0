#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc topo: the matrix, its way through text and back, and the picture."""
import json
import os
import re
import resource
import stat
import xml.etree.ElementTree as tree

from cli import (BUILT_IN, ROOT, Skip, case, folder, is_sanitized, machine_file, main, ok,
                 on_terminal, refused, run, widest)
from leasing import store
from waiting import waiters

SVG = "{http://www.w3.org/2000/svg}"


def document(machine):
    return json.loads(run("topo", "--json", "-q", "--machine", machine).out)


@case
def the_matrix_looks_as_in_nvidia_smi():
    assert ok("topo", "--machine", "rtx8000x4") == """\
rtx8000x4 (simulated): 4 GPUs

      GPU0  GPU1  GPU2  GPU3  CPU Affinity  NUMA Affinity
GPU0   X    NODE  SYS   NV2   0-15,32-47    0
GPU1  NODE   X    NV2   SYS   0-15,32-47    0
GPU2  SYS   NV2    X    NODE  16-31,48-63   1
GPU3  NV2   SYS   NODE   X    16-31,48-63   1

Legend:

  X    = Self
  SYS  = PCIe and the interconnect between NUMA nodes
  NODE = PCIe and the interconnect between host bridges of a NUMA node
  NV#  = # NVLinks, direct or through switches
"""


@case
def unknown_cells_are_question_marks_and_inferences_are_counted():
    text = ok("topo", "--machine", machine_file("odd.json"))
    assert re.search(r"^GPU0 +X +\? +PIX +NODE +N/A +N/A$", text, re.M), text
    assert "The PCIe level of 1 pair was inferred" in text, text


@case
def a_wide_matrix_is_folded_on_a_terminal_and_nothing_is_lost():
    for columns in (80, 120, 200):
        shown = on_terminal("topo", "--machine", "nvl72", columns=columns, env={"NO_COLOR": "1"})
        assert widest(shown) <= columns, f"{widest(shown)} of {columns}"
        for label in (f"GPU{i}" for i in range(72)):
            headers = re.findall(rf"^ .*\b{label}\b", shown, re.M)
            assert len(headers) == 1, f"{label} heads {len(headers)} columns"
        assert shown.count("NV18 ") + shown.count("NV18\n") == 72 * 71 + 1, shown.count("NV18")
        assert "CPU Affinity" in shown or "\nCPUs 2520-2591, NUMA node 35: near GPU70,71" in shown
        assert len(re.findall("2520-2591", shown)) in (1, 2), shown
    assert "72 GPUs, NV18 between any two" in ok("topo", "--machine", "nvl72")


@case
def eight_gpus_fit_on_a_small_screen_and_are_read_back():
    with folder() as where:
        for machine in ("dgx1-pascal", "dgx1-volta", "dgx-a100", "hgx-h100"):
            shown = on_terminal("topo", "--machine", machine, env={"NO_COLOR": "1"})
            assert len(shown.splitlines()) <= 24 and widest(shown) <= 80, shown
            path = f"{where}/{machine}.txt"
            with open(path, "w", encoding="utf-8") as file:
                file.write(shown.replace("\r", ""))
            one, other = (json.loads(ok("topo", "--json", "--machine", spec))
                          for spec in (machine, path))
            assert one["nvlink"] == other["nvlink"], machine


@case
def colour_by_closeness_only_on_a_terminal():
    shown = on_terminal("topo", "--machine", "dgx1-volta")
    assert "\033[1;32mNV2\033[0m" in shown and "\033[31mSYS\033[0m" in shown, shown
    plain = on_terminal("topo", "--machine", "dgx1-volta", env={"NO_COLOR": "1"})
    assert re.sub(r"\033\[[0-9;]*m", "", shown) == plain
    assert "\033" not in ok("topo", "--machine", "dgx1-volta")


@case
def json_has_the_matrices_of_the_machine_file():
    for machine in BUILT_IN + [machine_file("busy.json"), machine_file("odd.json")]:
        shown = document(machine)
        file = json.loads(ok("snapshot", "--machine", machine))
        count = len(file["devices"])
        none = [[0] * count for _ in range(count)]
        assert list(shown) == ["schema", "command", "machine", "devices", "pcie", "nvlink", "p2p",
                               "inferred", "p2p_inferred"], list(shown)
        assert shown["schema"] == 1 and shown["command"] == "topo"
        assert shown["pcie"] == file["pcie"], machine
        assert shown["nvlink"] == file.get("nvlink", none), machine
        assert shown["inferred"] == file.get("inferred", []), machine
        keys = ("index", "uuid", "name", "numa", "cpus")
        assert shown["devices"] == [{key: device.get(key) for key in keys}
                                    for device in file["devices"]], machine


def of_models(where, *names, **more):
    """A machine file of GPUs across the sockets."""
    count = len(names)
    pcie = [["X" if i == j else "SYS" for j in range(count)] for i in range(count)]
    path = os.path.join(where, "models.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "pcie": pcie, **more, "devices": [
            {"index": i, "name": name} for i, name in enumerate(names)]}, file)
    return path


@case
def peer_to_peer_is_shown_and_what_was_inferred_is_marked():
    card, bridged = "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090"
    with folder() as where:
        none = of_models(where, card, card)
        assert "\nNo peer-to-peer: data between two of them goes through the host's " \
               "memory (inferred from the model, not read).\n" in ok("topo", "--machine", none)
        shown = document(none)
        assert shown["p2p"] == [["X", "no"], ["no", "X"]], shown
        assert shown["p2p_inferred"] == [[0, 1]] and "p2p" not in json.loads(
            ok("snapshot", "--machine", none))
        says = ok("explain", "-n", "2", "--machine", none)
        assert "\n  no peer-to-peer: data" in says, says
        assert json.loads(ok("explain", "--json", "-n", "2", "--machine", none))["p2p"] == {
            "ok": 0, "no": 1, "unknown": 0, "inferred": 1}
        mixed = ok("topo", "--machine", of_models(
            where, bridged, bridged, bridged, nvlink=[[0, 4, 0], [4, 0, 0], [0, 0, 0]],
            p2p=[["X", None, "no"], [None, "X", "no"], ["no", "no", "X"]]))
        assert "Peer-to-peer between 1 of 3 pairs (1 inferred from the model" in mixed, mixed
        assert re.search(r"^GPU1  OK     X    NS$", mixed, re.M), mixed
        unknown = ok("topo", "--machine", of_models(where, card, *["NVIDIA L4"] * 2))
        assert "\nPeer-to-peer between 0 of 3 pairs, not known for 1 (2 inferred" in unknown, unknown
        read = ok("topo", "--machine", of_models(where, card, card,
                                                 p2p=[["X", "ok"], ["ok", "X"]]))
        assert "\nPeer-to-peer between any two.\n" in read, read
    assert "eer-to-peer" not in ok("topo", "--machine", "dgx1-volta")


@case
def its_text_reads_back_as_the_same_links():
    with folder() as where:
        for machine in BUILT_IN + [machine_file("busy.json")]:
            path = os.path.join(where, "topo.txt")
            text = ok("topo", "--machine", machine)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            first, second = document(machine), document(path)
            assert second["nvlink"] == first["nvlink"], machine
            for i, row in enumerate(first["pcie"]):
                for j, level in enumerate(row):
                    if not first["nvlink"][i][j]:
                        assert second["pcie"][i][j] == level, f"{machine}: pcie[{i}][{j}]"
            for one, other in zip(first["devices"], second["devices"]):
                assert (one["index"], one["numa"], one["cpus"]) == \
                    (other["index"], other["numa"], other["cpus"]), machine
            rows = [line for line in text.splitlines() if line.startswith("GPU")]
            again = [line for line in run("topo", "--machine", path).out.splitlines()
                     if line.startswith("GPU")]
            assert again == rows, machine


# ---- the picture ----

@case
def the_picture_is_xml_with_every_gpu_and_link():
    for machine in BUILT_IN + [machine_file(name) for name in
                               ("busy.json", "crowded.json", "odd.json", "empty.json")]:
        text = ok("topo", "--svg", "-", "--machine", machine)
        picture = tree.fromstring(text)
        shown = document(machine)
        assert picture.tag == SVG + "svg" and picture.get("viewBox"), machine
        ids = [group.get("id") for group in picture.iter(SVG + "g")]
        assert sorted(ids) == sorted(f"gpu-{device['index']}" for device in shown["devices"])
        words = [element.text for element in picture.iter(SVG + "text")]
        for device in shown["devices"]:
            assert str(device["index"]) in words, f"{machine}: {device['index']}"
        assert ("simulated" in words) == shown["machine"]["simulated"], machine
        assert not re.search(r"<script|href|@import|url\(", text), machine
        if shown["machine"]["name"]:
            assert words[0][:20] == shown["machine"]["name"][:20], words[0]


def lines_of(machine):
    picture = tree.fromstring(ok("topo", "--svg", "-", "--machine", machine))
    # Those of the legend are drawn with a relative "h".
    return [path.get("stroke-width") for path in picture.iter(SVG + "path")
            if "h22" not in path.get("d")]


@case
def a_mesh_has_one_line_per_pair_and_a_switch_one_per_gpu():
    assert len(lines_of("dgx1-volta")) == 16
    assert len(set(lines_of("dgx1-volta"))) == 2, "widths of one and two NVLinks"
    assert len(set(lines_of("dgx1-pascal"))) == 1
    assert len(lines_of("rtx8000x4")) == 2
    assert len(lines_of("hgx-h100")) == 8
    assert len(lines_of("dgx2")) == 16
    assert len(lines_of("nvl72")) == 72 + 2, "a line a GPU, and two between the three bars"
    assert len(lines_of("pcie16")) == 0


@case
def the_picture_stays_inside_and_no_two_gpus_overlap():
    for machine in BUILT_IN:
        picture = tree.fromstring(ok("topo", "--svg", "-", "--machine", machine))
        width, height = map(int, picture.get("viewBox").split()[2:])
        gpus = []
        for rect in picture.iter(SVG + "rect"):
            x, y, w, h = (int(rect.get(key)) for key in ("x", "y", "width", "height"))
            assert 0 <= x and x + w <= width and 0 <= y and y + h <= height, machine
            if rect.get("class").startswith("gpu"):
                gpus.append((x, y, w, h))
        for i, (ax, ay, aw, ah) in enumerate(gpus):
            for bx, by, bw, bh in gpus[:i]:
                assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay, machine


@case
def every_captured_matrix_is_drawn_and_shown():
    where = os.path.join(ROOT, "machines", "topo")
    drawn = 0
    for name in sorted(os.listdir(where)):
        path = os.path.join(where, name)
        result = run("topo", "-q", "--svg", "-", "--machine", path)
        assert result.code in (0, 65), f"{name}: {result!r}"
        if result.code == 65:
            continue
        picture = tree.fromstring(result.out)
        count = len(document(path)["devices"])
        assert len(list(picture.iter(SVG + "g"))) == count, name
        shown = on_terminal("topo", "-q", "--machine", path, env={"NO_COLOR": "1"})
        assert widest(shown) <= 80, f"{name}: {widest(shown)} columns"
        drawn += 1
    assert drawn > 30, drawn


@case
def the_same_machine_gives_the_same_bytes():
    for machine in BUILT_IN:
        assert ok("topo", "--svg", "-", "--machine", machine) == \
            ok("topo", "--svg", "-", "--machine", machine)


DRAWN = [("dgx1-volta.svg", "topo --machine dgx1-volta --svg -"),
         ("nvl72.svg", "topo --machine nvl72 --svg -"),
         ("a100-mig.svg", "explain --machine a100-mig --mig -n 2 --svg -")]


@case
def the_pictures_in_the_documents_are_those_it_draws():
    for name, words in DRAWN:
        with open(os.path.join(ROOT, "..", "docs", name), encoding="utf-8") as file:
            assert file.read() == ok(*words.split()), f"draw it again: gpualloc {words} > docs/{name}"


def words_in(picture):
    return ["".join(text.itertext()) for text in picture.iter(SVG + "text")]


def classes_in(picture, first):
    """By the number of a GPU, or the place of an instance, how it is drawn."""
    rects = [rect.get("class") for rect in picture.iter(SVG + "rect")]
    return [name.partition(" ")[2] for name in rects if name.split()[0] == first]


@case
def what_is_not_free_is_seen_and_not_by_colour_alone():
    with store() as one, waiters(one) as some:
        config = os.path.join(one.where, "gpualloc.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("exclude = 7  # dead fan\n")
        os.chmod(config, 0o644)
        holder = one.hold("-n", "2", "--only", "0,3")
        some.start("three", "-n", "3", "--only", "3,4,6")
        env = {"GPUALLOC_STATE_DIR": one.path, "GPUALLOC_CONFIG": config}
        for words in ("topo", "explain -n 2 --only 1,2"):
            shown = ok(*words.split(), "--machine", "dgx1-volta", "--svg", "-", env=env)
            picture = tree.fromstring(shown)
            said = [word.split(":")[0] for word in words_in(picture)]
            assert [said.count(word) for word in ("leased", "kept", "drained")] == [2, 2, 1], said
            free = "chosen" if words != "topo" else ""
            assert classes_in(picture, "gpu") == \
                ["leased", free, free, "leased", "kept", "", "kept", "out"], words
            assert "GPU 7: Tesla V100-SXM2-16GB, drained: dead fan" in shown, shown
            style = picture.find(SVG + "style").text
            light, dark = style.split("prefers-color-scheme:dark")
            for name in (".leased", ".kept", ".used", ".sick", ".out", ".chosen"):
                assert name + "{" in light and name + "{" in dark, name
        holder.end()
        some.end()
    picture = tree.fromstring(ok("topo", "--machine", machine_file("busy.json"), "--svg", "-"))
    assert classes_in(picture, "gpu") == ["", "used", ""] and classes_in(picture, "mig") == \
        ["used", "", ""], classes_in(picture, "mig")  # the last is the legend's
    assert "in-use: alice" in words_in(picture), words_in(picture)


@case
def instances_have_names_and_chosen_ones_their_mark():
    picture = tree.fromstring(ok("explain", "--mig=1g.5gb", "-n", "2", "--machine", "a100-mig",
                                 "--svg", "-"))
    said = words_in(picture)
    assert (said.count("2g.10gb"), said.count("1g.5gb"), said.count("\u2713")) == (2, 3, 2), said
    assert classes_in(picture, "mig").count("chosen") == 2


@case
def what_all_links_have_in_common_is_said_once():
    for machine, count in (("nvl72", "18"), ("dgx2", "6"), ("hgx-h100", "18")):
        words = words_in(tree.fromstring(ok("topo", "--svg", "-", "--machine", machine)))
        assert sum(f"{count} NVLinks" in word for word in words) == 1, words
        # Only a GPU may have that number.
        assert words.count(count) <= 1, words


@case
def the_file_is_written_whole_with_usual_rights():
    with folder() as where:
        path = os.path.join(where, "a.svg")
        assert ok("topo", "--svg", path, "--machine", "dgx2", umask=0o027) == ""
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
        tree.parse(path)
        os.chmod(path, 0o600)
        ok("topo", "--svg", path, "--machine", "nvl72")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert os.listdir(where) == ["a.svg"]
        link = os.path.join(where, "link.svg")
        os.symlink("a.svg", link)
        ok("topo", "--svg", link, "--machine", "rtx8000x4")
        assert os.path.islink(link) and "rtx8000x4" in open(path, encoding="utf-8").read()


@case
def a_failed_write_leaves_the_old_file():
    if is_sanitized():
        raise Skip("a limit on file sizes stops the sanitizer too")
    with folder() as where:
        path = os.path.join(where, "a.svg")
        with open(path, "w", encoding="utf-8") as file:
            file.write("mine")
        refused(74, "topo", "--svg", path, "--machine", "nvl72", says=[path, "too large"],
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        assert os.listdir(where) == ["a.svg"]
        assert open(path, encoding="utf-8").read() == "mine"
        refused(74, "topo", "--svg", where, "--machine", "dgx2", says=["Is a directory"])
        refused(74, "topo", "--svg", where + "/no/a.svg", "--machine", "dgx2", says=["No such"])
        refused(74, "topo", "--svg", "/dev/full", "--machine", "dgx2", says=["No space"])
        refused(64, "topo", "--svg", "", "--machine", "dgx2")
        assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@case
def one_format_at_a_time():
    refused(64, "topo", "--json", "--svg", "-", "--machine", "dgx2", says=["--json and --svg"])


main()
