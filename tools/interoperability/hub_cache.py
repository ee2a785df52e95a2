"""The cache of the Hub, shared with huggingface_hub: what one keeps there, the other finds.

    python hub_cache.py <command> <repository> <commit>

Environment: HF_ENDPOINT, HF_HUB_CACHE. Commands:
    find      files that huggingface_hub finds of the commit without a network, and that its listing of the cache has no complaints
    download  the commit, whole
"""

import sys
from pathlib import Path

from huggingface_hub import __version__, scan_cache_dir, snapshot_download, try_to_load_from_cache

command, repository, commit = sys.argv[1:]
if command == "download":
    print(snapshot_download(repository, revision="main"))
else:
    found = Path(snapshot_download(repository, revision="main", local_files_only=True))
    assert found.name == commit, found
    names = sorted(path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file())
    for name in names:
        by_revision = try_to_load_from_cache(repository, name, revision="main")
        by_commit = try_to_load_from_cache(repository, name, revision=commit)
        assert by_revision == by_commit and Path(by_commit).is_file(), name
    scanned = scan_cache_dir()
    assert not scanned.warnings, scanned.warnings
    (entry,) = [one for one in scanned.repos if one.repo_id == repository]
    (revision,) = entry.revisions
    assert revision.commit_hash == commit and "main" in revision.refs, revision
    assert len(revision.files) == len(names)
    print(f"huggingface_hub {__version__}: {len(names)} files, {entry.size_on_disk} bytes")
