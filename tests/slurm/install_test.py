# SPDX-License-Identifier: Apache-2.0
"""What an administrator installs, and what goes wrong with it: no mistake stops jobs that do not
ask for the plugin, and jobs that do ask get a message."""
import glob
import os

from cli import Skip, case, main
from cluster import AT_ONCE, Node, cluster, wait_until

OTHER = os.environ.get("SPANK_OTHER", "")
FILTER = os.environ["CLI_FILTER"]
COMMANDS = (["srun"], ["sbatch", "--wrap", "true"], ["salloc"])


@case
def the_option_is_in_every_commands_help():
    with cluster(Node("n1")) as one:
        for command in ("srun", "sbatch", "salloc"):
            assert "--gpualloc=N[:POLICY[:MEMORY]]" in one.ok(command, "--help")


@case
def nonsense_is_refused_before_a_job_is_submitted():
    with cluster(Node("n1")) as one:
        for command in COMMANDS:
            for word, says in (("two", "not a number of devices"), ("2:fast", "no policy"),
                               ("2::much", "not an amount of memory"), ("2,shard", "not known"),
                               ("1:bandwidth:1GiB,share", "looks at links")):
                result = one.ask(command[0], f"--gpualloc={word}", *command[1:], "true"
                                 if command[0] != "sbatch" else "-Q")
                assert result.code != 0 and result.out == "", (command, word, result)
                assert says in result.err and "--gpualloc: " in result.err, (command, word, result)
        assert one.ok("scontrol", "show", "job").startswith("No jobs in the system")


@case
def only_jobs_that_ask_for_devices_see_a_mistake_in_plugstack_conf():
    with cluster(Node("n1"), plugstack="optional {plugin} wait=soon\n") as one:
        result = one.ask("srun", "--gpualloc=1", "true")
        assert result.code != 0 and '"wait=soon": wait takes 0, forever' in result.err, result
        assert one.ok("srun", "echo", "ran") == "ran\n"
        assert 'wait=soon' in one.read("log", "slurmd.n1.log")
        one.wait_for_node("n1")


@case
def a_plugin_for_another_release_stops_nobody():
    with cluster(Node("n1"), plugstack=f"optional {OTHER}\n") as one:
        assert one.ok("srun", "echo", "ran") == "ran\n"
        _, out = one.batch(script="srun echo ran")
        assert "ran\n" in out, out
        assert "called" not in one.logs()
        result = one.ask("srun", "--gpualloc=1", "true")
        assert result.code != 0 and "unrecognized option" in result.err, result
        one.wait_for_node("n1")


@case
def it_works_beside_a_plugin_that_does_not():
    with cluster(Node("n1"), plugstack=f"optional {OTHER}\noptional {{plugin}}\n") as one:
        assert len(one.ok("srun", "--gpualloc=2", "printenv", "GPUALLOC_DEVICES").split(",")) == 2


@case
def it_works_where_it_is_required():
    with cluster(Node("n1"), plugstack="required {plugin}\n") as one:
        assert one.ask("srun", "--gpualloc=2", "true").code == 0
        assert one.ask("srun", "--gpualloc=9", "true").code == 1
        one.batch("--gpualloc=9", script="true")
        one.wait_for_node("n1")


@case
def with_the_filter_slurm_counts_what_the_option_asks_for():
    def prepare(one):
        with open(FILTER, encoding="utf-8") as file:
            one.write("cli_filter.lua", file.read())

    if not glob.glob("/usr/lib/*/slurm*/cli_filter_lua.so"):
        raise Skip("Slurm's plugin for filters in Lua is not installed")
    with cluster(Node("n1"), Node("n2", gres="gpu:8", gres_conf="NodeName=n2 Name=gpu "
                 "File=/dev/tty[0-7]\n"), prepare=prepare,
                 extra="CliFilterPlugins=cli_filter/lua\n") as one:
        job = one.hold("-w", "n1", "--gpualloc=5:best-effort").started()
        assert one.job(job.number)["TresPerNode"] == "gres:gpualloc:5", one.job(job.number)
        later = one.hold("-w", "n1", "--gpualloc=4")
        wait_until("Slurm lets it wait", lambda: "Resources" in
                   one.ok("squeue", "-h", "-t", "PD", "-o", "%r"))
        assert not one.leases("n1")["waiting"]
        assert job.end() == 0
        assert len(later.started().devices) == 4
        # Steps of a job count in the job's own; a job that asks Slurm for GPUs gets those.
        assert later.end() == 0
        _, out = one.batch("-w", "n1", "--gpualloc=2", script="srun printenv GPUALLOC_DEVICES")
        assert len(out.split(",")) == 2, out
        out = one.ok("srun", "-w", "n2", "--gpus=2", "--gpualloc=2", "printenv", "SLURM_STEP_GPUS")
        assert out == "0,1\n", out
        share = one.hold("-w", "n1", "--gpualloc=1::1GiB,share").started()
        assert "TresPerNode" not in one.job(share.number)
        assert share.end() == 0


if __name__ == "__main__":
    main(AT_ONCE)
