-- SPDX-License-Identifier: Apache-2.0
-- One option for both: --gpualloc=N says how many devices a job gets, and with this file Slurm
-- counts them too, as gres/gpualloc. Put it beside slurm.conf, which needs
--
--     CliFilterPlugins=cli_filter/lua
--     GresTypes=gpualloc
--     NodeName=... Gres=gpualloc:8
--
-- A job that asks Slurm for GPUs itself, or that shares devices, is left as it is.

local gpu_options = { "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task" }

local function asked(options)
	local plugins = options["spank"]
	local ours = plugins and plugins["gpualloc"]
	return ours and ours["gpualloc"]
end

local function asks_slurm(options)
	for _, name in ipairs(gpu_options) do
		if options[name] then
			return true
		end
	end
	return string.find("," .. (options["gres"] or ""), "[,:]gpu") ~= nil
end

function slurm_cli_setup_defaults(options, early_pass)
	return slurm.SUCCESS
end

function slurm_cli_pre_submit(options, pack_offset)
	local text = asked(options)
	local count = text and tonumber(string.match(text, "^%d+"))

	-- If the text cannot be read, the plugin refuses it itself, with a better message.
	if not count or count == 0 or string.find(text, ",share") or asks_slurm(options) then
		return slurm.SUCCESS
	end
	if options["gres"] then
		options["gres"] = options["gres"] .. ",gpualloc:" .. count
	else
		options["gres"] = "gpualloc:" .. count
	end
	return slurm.SUCCESS
end

function slurm_cli_post_submit(offset, job_id, step_id)
	return slurm.SUCCESS
end
