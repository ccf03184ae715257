"""A long history of jobs, made at once."""

from __future__ import annotations

import pytest


def test_copies_of_a_job_are_listed_before_it_with_ids_and_times_of_their_own(start, api_of, tools, bell):
    emulator = start()
    api = api_of(emulator)
    job = api.submit(tools.sampler_params(bell, shots=1), tags=["history"])
    api.wait(job)
    emulator.copy_jobs(250)
    assert emulator.state()["jobs"] == 251
    pages = [api.json("/jobs", limit=200, offset=offset)["jobs"] for offset in (0, 200)]
    listed = [one for page in pages for one in page]
    assert listed[0]["id"] == job
    assert len({one["id"] for one in listed}) == 251
    created = [one["created"] for one in listed]
    assert created == sorted(set(created), reverse=True)
    assert {(one["status"], *one["tags"]) for one in listed} == {("Completed", "history")}
    oldest = listed[-1]["id"]
    assert api.json(f"/jobs/{oldest}/results") == api.json(f"/jobs/{job}/results")


def test_there_is_nothing_to_copy_before_a_job_has_ended(start):
    with pytest.raises(ValueError, match="no job has ended"):
        start().copy_jobs(3)


def test_a_number_of_copies_is_a_number(start, api_of, tools, bell):
    emulator = start()
    api = api_of(emulator)
    api.wait(api.submit(tools.sampler_params(bell, shots=1)))
    with pytest.raises(ValueError, match="not a number of jobs"):
        emulator.copy_jobs("many")
    assert emulator.state()["jobs"] == 1
