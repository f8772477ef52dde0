#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc usage: what samples say. Time passes by making the last sample older: nothing sleeps."""
import contextlib
import fcntl
import getpass
import grp
import json
import os
import pwd
import re
import struct
import time
import xml.dom.minidom

import cli
from cli import case, main, widest
from leasing import store


class Sampled:
    """A store, its ledger of samples, and a configuration."""

    def __init__(self, one):
        self.one, self.machine = one, one.machine
        self.ledger = os.path.join(one.where, "usage")
        self.config = os.path.join(one.where, "gpualloc.conf")
        self.env = {"GPUALLOC_STATE_DIR": one.path, "GPUALLOC_USAGE_DIR": self.ledger,
                    "GPUALLOC_CONFIG": self.config}

    def path(self, name):
        return os.path.join(self.ledger, name)

    def read(self, name="now"):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def write(self, text, name="now"):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def configure(self, *lines):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        os.chmod(self.config, 0o644)

    def sample(self):
        result = cli.run("usage", "--sample", "--machine", self.machine, env=self.env)
        assert result.code == 0 and result.out == "" and result.err == "", result

    def pass_time(self, seconds):
        """The last sample is that much older now. None is from before the machine was started, and that
        may have been minutes ago."""
        def older(found):
            return f"sample {int(found[1]) - seconds} {max(int(found[2]) - 1000 * seconds, 0)}"
        self.write(re.sub(r"^sample (\d+) (\d+)", older, self.read()))

    def pass_idle_time(self, seconds):
        """And nothing has run on the leased devices since then."""
        def older(found):
            return f"{found[1]} {int(found[2]) - seconds} {int(found[3]) - seconds} "
        self.write(re.sub(r"^(lease \S+ \S+ \S+) (\d+) (\d+) ", older, self.read(), flags=re.M))

    def minute(self):
        """Two samples, a minute apart."""
        self.sample()
        self.pass_time(60)
        self.sample()

    def usage(self, *words):
        return json.loads(cli.ok("usage", "--json", *words, env=self.env))

    def rows(self, *words):
        return {row["name"]: (row["leased_seconds"], row["used_seconds"])
                for row in self.usage(*words)["rows"]}

    def busy(self, *indices):
        """From now on somebody computes on these GPUs, and on no other."""
        machine = json.loads(cli.ok("snapshot", "--machine", self.one.machine))
        for device in machine["devices"]:
            device["processes"] = [{"pid": 7, "type": "C", "user": "ann", "memory": 1,
                                    "name": "python"}] if device["index"] in indices else []
        self.machine = os.path.join(self.one.where, "busy.json")
        with open(self.machine, "w", encoding="utf-8") as file:
            json.dump(machine, file)


@contextlib.contextmanager
def sampled(machine="dgx1-volta"):
    with store(machine) as one:
        yield Sampled(one)


def me():
    return getpass.getuser() if os.geteuid() else "root"


def near(got, expected):
    """Samples take a moment themselves."""
    assert expected <= got <= expected + 8, (got, expected)


@case
def without_samples_it_says_what_starts_them():
    with sampled() as one:
        text = cli.ok("usage", env=one.env)
        assert "nothing has been sampled" in text, text
        assert "systemctl enable --now gpualloc-usage.timer" in text, text
        usage = one.usage()
        assert usage["sampling"] is False and usage["last_sample"] is None, usage
        assert usage["rows"] == [] and not os.path.exists(one.ledger)


@case
def what_two_samples_see_counts_for_the_time_between():
    with sampled() as one:
        one.sample()
        holder = one.one.hold("-n", "2")
        one.pass_time(60)
        one.sample()
        assert one.rows() == {}  # seen once, and that may have been a moment
        one.pass_time(60)
        one.sample()
        near(one.rows()[me()][0], 120)
        uuids = one.one.leases()["leases"][0]["devices"]
        by_gpu = one.rows("--by", "gpu")
        assert sorted(by_gpu) == sorted(uuids), by_gpu
        for uuid in uuids:
            near(by_gpu[uuid][0], 60)
        group = grp.getgrgid(pwd.getpwuid(os.geteuid()).pw_gid).gr_name
        near(one.rows("--by", "group")[group][0], 120)
        usage = one.usage()
        near(usage["sampled_seconds"], 120)
        assert usage["sampling"] is True, usage
        holder.end()
        before = one.rows()
        one.minute()
        one.minute()
        assert one.rows() == before


@case
def nothing_is_known_of_a_gap():
    with sampled() as one:
        holder = one.one.hold()
        one.sample()
        one.pass_time(200)
        one.sample()
        assert one.rows() == {} and one.usage()["sampled_seconds"] == 0
        one.pass_time(60)
        one.write(re.sub(r"^(sample \d+ \d+) \S+", r"\1 another-boot", one.read()))
        one.sample()
        assert one.rows() == {}
        one.pass_time(60)
        one.sample()
        near(one.rows()[me()][0], 60)
        holder.end()


@case
def used_is_where_something_computes():
    with sampled() as one:
        holder = one.one.hold("--only", "3,4", "-n", "2")
        one.busy(3)
        one.minute()
        leased, used = one.rows()[me()]
        near(leased, 120)
        near(used, 60)
        text = cli.ok("usage", env=one.env)
        assert "sampled once a minute" in text and "50 %" in text, text
        holder.end()


@case
def a_part_of_a_gpu_counts_as_that_part():
    with sampled() as one:
        holder = one.one.hold("-m", "4GiB", "--share")
        one.minute()
        leased = one.rows()[me()][0]
        assert 13 <= leased <= 16, leased  # of 16 GiB
        holder.end()
    with sampled("a100-mig") as one:
        holder = one.one.hold("--mig=1g.5gb")
        one.minute()
        leased = one.rows()[me()][0]
        assert 6 <= leased <= 9, leased  # of 40 GiB
        holder.end()


@case
def leases_within_a_lease_count_once():
    with sampled() as one:
        inner = [cli.GPUALLOC, "run", "--machine", one.machine, "sh", "-c",
                 "echo $CUDA_VISIBLE_DEVICES; read line; exit 0"]
        holder = one.one.hold("-n", "2", command=inner)
        assert len(one.one.leases()["leases"]) == 2
        one.minute()
        near(one.rows()[me()][0], 120)
        holder.end()


@case
def forms_for_programs_and_people():
    with sampled() as one:
        holders = [one.one.hold("-n", "2"), one.one.hold("-n", "1")]
        one.minute()
        lines = cli.ok("usage", "--csv", env=one.env).splitlines()
        assert lines[0] == "user,leased_seconds,used_seconds" and len(lines) == 2, lines
        assert cli.ok("usage", "--csv", "--by", "gpu", env=one.env).startswith("gpu,")
        picture = cli.ok("usage", "--svg", "-", "--by", "gpu", env=one.env)
        document = xml.dom.minidom.parseString(picture)
        bars = [bar for bar in document.getElementsByTagName("rect")
                if bar.getAttribute("class") == "hours"]
        assert len(bars) == 3 and "prefers-color-scheme:dark" in picture
        assert widest(cli.ok("usage", "--by", "gpu", env=one.env)) <= 80
        for holder in holders:
            holder.end()


@case
def idle_leases_are_named_and_told_once():
    with sampled() as one:
        told = os.path.join(one.one.where, "told")
        program = os.path.join(one.one.where, "tell")
        with open(program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nenv | grep '^GPUALLOC_' >> {told}\necho END >> {told}\n")
        os.chmod(program, 0o755)
        one.configure("idle-warn = 2h", f"idle-notify = {program}")
        holder = one.one.hold("--only", "3", "--note", "x")
        lease = one.one.leases()["leases"][0]
        one.busy()
        one.sample()
        one.pass_idle_time(90 * 60)
        one.sample()
        assert one.usage()["idle"] == [] and not os.path.exists(told)
        one.pass_idle_time(40 * 60)
        one.sample()
        one.sample()
        idle = one.usage()["idle"]
        assert [found["lease"] for found in idle] == [lease["id"]], idle
        near(idle[0]["idle_seconds"], 130 * 60)
        assert idle[0]["devices"] == lease["devices"] and idle[0]["user"] == me(), idle
        assert "2 h 10 min" in cli.ok("usage", env=one.env)
        with open(told, encoding="utf-8") as file:
            said = file.read()
        assert said.count("END") == 1, said
        for line in ("GPUALLOC_EVENT=idle", f"GPUALLOC_LEASE={lease['id']}",
                     f"GPUALLOC_USER={me()}", "GPUALLOC_DEVICES=" + lease["devices"][0]):
            assert line in said.splitlines(), (line, said)
        assert re.search(r"^GPUALLOC_MESSAGE=.*2 h 10 min", said, re.M), said
        # Everybody sees it beside the lease.
        shown = cli.run("leases", "--json", env=one.env)
        near(json.loads(shown.out)["leases"][0]["idle_seconds"], 130 * 60)
        assert "nothing has run there for 2 h 10 min" in cli.run("leases", env=one.env).out
        # Until something runs there.
        one.busy(3)
        one.sample()
        assert one.usage()["idle"] == []
        assert json.loads(cli.run("leases", "--json",
                                  env=one.env).out)["leases"][0]["idle_seconds"] is None
        one.busy()
        one.pass_idle_time(3 * 3600)
        one.sample()
        with open(told, encoding="utf-8") as file:
            assert file.read().count("END") == 2
        holder.end()


@case
def whoever_cannot_be_told_stops_no_sample():
    with sampled() as one:
        one.configure("idle-warn = 1h", "idle-notify = /nonexistent/tell")
        holder = one.one.hold()
        one.sample()
        one.pass_idle_time(2 * 3600)
        result = cli.run("usage", "--sample", "--machine", one.machine, env=one.env)
        assert result.code == 0 and "note: /nonexistent/tell" in result.err, result
        one.configure("idle-warn = soon")
        one.pass_time(60)
        result = cli.run("usage", "--sample", "--machine", one.machine, env=one.env)
        assert result.code == 0 and "nobody is told" in result.err, result
        near(one.rows()[me()][0], 60)
        holder.end()


@case
def hours_that_have_ended_are_kept_and_count_once():
    with sampled() as one:
        holder = one.one.hold()
        one.minute()
        text = one.read()
        hour = int(re.search(r"^sum (\d+)", text, re.M)[1])
        one.write(text.replace(f"sum {hour} ", f"sum {hour - 2} "))
        one.sample()
        ended = one.read("hours")
        assert f"sum {hour - 2} " in ended and f"sum {hour - 2} " not in one.read(), ended
        before = one.rows()
        near(before[me()][0], 60)
        # Written again after a crash, and torn off in the middle of a line.
        one.write(ended + ended + ended[:len(ended) // 2].rstrip("\n"), "hours")
        result = cli.run("usage", "--json", env=one.env)
        rows = {row["name"]: (row["leased_seconds"], row["used_seconds"])
                for row in json.loads(result.out)["rows"]}
        assert rows == before, (rows, before)
        one.write(one.read().replace(f"sum {hour} ", f"sum {hour - 1} "))
        one.sample()
        assert f"\nsum {hour - 1} " in one.read("hours"), one.read("hours")
        assert one.rows("--since", "1h") == {} or one.rows("--since", "1h") != before
        holder.end()


@case
def the_ledger_does_not_grow_for_ever():
    with sampled() as one:
        one.minute()
        line = "sum 400000 =ann =users =GPU-1 60000 0\n"
        one.write(line * ((4 << 20) // len(line)), "hours")
        hour = int(re.search(r"^sum (\d+)", one.read(), re.M)[1])
        one.write(one.read().replace(f"sum {hour} ", f"sum {hour - 1} "))
        one.sample()
        assert one.read("hours").startswith(f"sum {hour - 1} ")
        assert os.path.getsize(one.path("hours")) < 4096
        assert sum(os.path.getsize(one.path(name)) for name in os.listdir(one.ledger)) < 12 << 20


@case
def a_ledger_that_makes_no_sense_is_left_out():
    with sampled() as one:
        one.sample()
        one.write("\0\nsum\nsum x\nsum 1 =a =b =c -1 0\nsum 1 =a =b =c 1 0 more\nsum 1 a b c 1 1\n"
                  "sum 99999999999999999999 =a =b =c 1 1\nlease =%zz =a =b 1 1 0 GPU-1\n"
                  f"sum 1 ={'x' * 5000} =b =c 1 1\nlease\nsample\nrubbish\n\n", "hours")
        result = cli.run("usage", "--json", env=one.env)
        assert result.code == 0 and json.loads(result.out)["rows"] == [], result
        assert "make no sense" in result.err, result
        hour = int(one.read().split()[1]) // 3600
        one.write(f"sum {hour} =%1b[2J%41 =b =c 3600000 0\n", "hours")
        assert list(one.rows()) == ["?[2JA"], one.rows()


@case
def a_ledger_that_others_can_write_proves_nothing():
    with sampled() as one:
        one.sample()
        os.chmod(one.path("now"), 0o666)
        cli.refused(77, "usage", env=one.env, says=["can be written by users other than root"])
        os.chmod(one.path("now"), 0o644)
        os.chmod(one.ledger, 0o777)
        cli.refused(77, "usage", env=one.env)
        cli.refused(77, "usage", "--sample", "--machine", one.machine, env=one.env)
        os.chmod(one.ledger, 0o755)
        os.rename(one.path("now"), one.path("then"))
        os.symlink("then", one.path("now"))
        assert cli.run("usage", env=one.env).code == 74
        os.unlink(one.path("now"))
        os.mkfifo(one.path("now"), 0o644)
        cli.refused(74, "usage", env=one.env, says=["is not a file"])
        cli.refused(74, "usage", "--sample", "--machine", one.machine, env=one.env)
        os.unlink(one.path("now"))
        with open(one.path("now"), "wb") as file:
            file.truncate(9 << 20)
        os.chmod(one.path("now"), 0o644)
        cli.refused(65, "usage", env=one.env, says=[one.path("now"), "remove it"])


@case
def nobody_can_keep_samples_from_being_taken():
    with sampled() as one:
        one.sample()
        # Whoever can open a file can lock it, and everybody can open the folder.
        folder = os.open(one.ledger, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        one.sample()
        os.close(folder)
        assert os.stat(one.path("lock")).st_mode & 0o777 == 0o600
        with open(one.path("lock"), encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            cli.refused(75, "usage", "--sample", "--machine", one.machine, env=one.env)


def record_of(one, lease):
    return os.path.join(one.one.path, "records", lease)


@case
def devices_that_the_driver_does_not_know_count_for_nobody():
    with sampled() as one:
        holder = one.one.hold("-n", "2")
        lease = one.one.leases()["leases"][0]
        with open(record_of(one, lease["id"]), "a", encoding="utf-8") as record:
            record.write("".join(f"device GPU-{number} 1:1\n" for number in range(100)))
            record.write(f"device {lease['devices'][0]} 1:1\n")
        assert len(one.one.leases()["leases"][0]["devices"]) == 103
        one.minute()
        by_gpu = one.rows("--by", "gpu")
        assert sorted(by_gpu) == sorted(lease["devices"]), by_gpu
        near(by_gpu[lease["devices"][0]][0], 60)
        holder.end()


@contextlib.contextmanager
def forged(one, count):
    """As anybody can: a lock on a lease's byte, and a record that says what it likes."""
    uuid = json.loads(cli.ok("list", "--json", "--machine", one.machine))["devices"][0]["uuid"]
    with open(os.path.join(one.one.path, "ledger"), "r+b", buffering=0) as ledger:
        for number in range(count):
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, (1 << 62) + number, 1, 0)
            fcntl.fcntl(ledger, fcntl.F_OFD_SETLK, lock)
            name = f"{number:010x}"
            with open(record_of(one, name), "w", encoding="utf-8") as record:
                record.write(f"id {name}\nsince 1\ncommand {'%' * 250}\ndevice {uuid} 1:1\n")
        yield


@case
def thousands_of_records_do_not_fill_the_ledger():
    with sampled() as one:
        one.one.hold("-n", "1").end()
        with forged(one, 1000):
            one.minute()
            assert one.read().count("\nlease ") == 256
            near(one.rows()[me()][0], 60)


@case
def a_lease_of_many_devices_counts():
    with sampled("nvl72") as one:
        holder = one.one.hold("-n", "40")
        one.minute()
        result = cli.run("usage", "--json", env=one.env)
        assert result.err == "", result
        near(one.rows()[me()][0] // 40, 60)
        holder.end()


@case
def time_that_nobody_saw_is_not_idle():
    with sampled() as one:
        one.configure("idle-warn = 2h")
        holder = one.one.hold()
        one.busy()
        one.sample()
        one.pass_idle_time(3600 + 200)
        one.pass_time(200)  # the timer did not run
        one.sample()
        assert one.usage()["idle"] == []
        # Nor does it count when the clock is put forward, or back.
        for step in (5 * 3600, -5 * 3600):
            def wrong(found, step=step):
                return f"sample {int(found[1]) - step}"
            one.write(re.sub(r"^sample (\d+)", wrong, one.read()))
            one.write(re.sub(r"^(lease \S+ \S+ \S+ \d+) (\d+)", lambda found, step=step:
                             f"{found[1]} {int(found[2]) - step}", one.read(), flags=re.M))
            one.sample()
            assert one.usage()["idle"] == [], step
        one.pass_idle_time(3600 + 60)
        one.sample()
        near(one.usage()["idle"][0]["idle_seconds"], 2 * 3600 + 60)
        holder.end()


@case
def telling_costs_no_sample():
    with sampled() as one:
        told = os.path.join(one.one.where, "told")
        program = os.path.join(one.one.where, "tell")
        with open(program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho told >> {told}\nkill -9 $PPID\n")
        os.chmod(program, 0o755)
        one.configure("idle-warn = 1h", f"idle-notify = {program}")
        holder = one.one.hold()
        one.busy()
        one.sample()
        one.pass_idle_time(2 * 3600)
        one.pass_time(60)
        assert cli.run("usage", "--sample", "--machine", one.machine, env=one.env).code == -9
        near(one.rows()[me()][0], 60)
        one.pass_time(60)
        one.sample()
        near(one.rows()[me()][0], 120)
        with open(told, encoding="utf-8") as file:
            assert file.read() == "told\n"
        holder.end()


@case
def hours_to_come_do_not_count():
    with sampled() as one:
        one.minute()
        hour = int(time.time()) // 3600
        one.write(f"sum {hour + 5} =ann =users =GPU-1 60000 0\n", "hours")
        assert one.rows() == {}
        one.pass_time(-3 * 3600)
        assert one.usage()["sampling"] is False
        assert "of a time to come" in cli.ok("usage", env=one.env)


@case
def a_timer_that_has_stopped_is_noticed():
    with sampled() as one:
        one.minute()
        assert "timer does not run" not in cli.ok("usage", env=one.env)
        one.pass_time(3600)
        text = cli.ok("usage", env=one.env)
        assert "timer does not run" in text and "systemctl" in text, text
        assert one.usage()["sampling"] is False


@case
def the_units_take_a_sample_once_a_minute():
    def unit(name):
        with open(os.path.join(cli.ROOT, "..", "systemd", name), encoding="utf-8") as file:
            return file.read()
    assert "ExecStart=@bindir@/gpualloc usage --sample\n" in unit("gpualloc-usage.service.in")
    timer = unit("gpualloc-usage.timer")
    assert "OnCalendar=minutely\n" in timer and "WantedBy=timers.target\n" in timer


@case
def what_makes_no_sense_is_refused():
    with sampled() as one:
        cli.refused(64, "usage", "--by", "month", env=one.env, says=["user, group or gpu"])
        cli.refused(64, "usage", "--since", "7", env=one.env)
        cli.refused(64, "usage", "--sample", "--json", env=one.env)
        cli.refused(64, "usage", "--csv", "--json", env=one.env)
        cli.refused(64, "usage", "--machine", "dgx2", env=one.env, says=["--sample"])


main()
