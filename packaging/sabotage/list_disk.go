package main

// disk breaks what writes: package fsx, the repository's files, publishing, the state.
var disk = []mutation{
	{
		what: "a durable write is renamed without having been synced",
		file: "engine/fsx/fsx.go", old: "if survives >= synced {", new: "if survives > durable {",
		pkg: "engine/fsx", run: "^TestReplaceFaults$",
	},
	{
		what: "a durable write does not sync the folder",
		file: "engine/fsx/fsx.go", old: "if survives == durable {", new: "if survives > durable {",
		pkg: "engine/fsx", run: "^TestReplaceFaults$",
	},
	{
		what: "a write that fails leaves its temporary file",
		file: "engine/fsx/fsx.go", old: "f.Discard(file.Name())", new: "_ = file.Name()",
		pkg: "engine/fsx", run: "^TestReplaceFaults$",
	},
	{
		what: "a killed run's temporary files are not removed",
		file: "engine/fsx/fsx.go", old: "if !strings.HasSuffix(e.Name(), TempSuffix) ||", new: "if strings.HasSuffix(e.Name(), TempSuffix) ||",
		pkg: "engine/fsx", run: "^TestRemoveTemps$",
	},
	{
		what: "a lock is opened and not taken",
		file: "engine/fsx/lock.go", old: "err := unix.Flock(int(file.Fd()), how)", new: "var err error",
		pkg: "engine/fsx", run: "^TestLockExcludes$",
	},
	{
		what: "a restore does not wait for the disk",
		file: "engine/fsx/fsx_linux.go", old: "return ignoreUnsyncable(unix.Syncfs(int(dir.Fd())))", new: "return nil",
		pkg: "engine/fsx", run: "^TestVolumeSyncs$",
	},
	{
		what: "setting a time follows a symbolic link",
		file: "engine/fsx/posix.go", old: "unix.AT_SYMLINK_NOFOLLOW", new: "0",
		pkg: "engine/fsx", run: "^TestChtimes$",
	},
	{
		what: "a chunk is renamed without having been synced",
		file: "engine/repository/packer.go", old: "if err := c.file.Sync(); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine/repository", run: "^TestPacker",
	},
	{
		what: "the folder of the chunks is not synced before a manifest names them",
		file: "engine/repository/packer.go", old: "if len(p.refs) > 0 {", new: "if len(p.refs) < 0 {",
		pkg: "engine/repository", run: "^TestPacker",
	},
	{
		what: "an error of the chunks' writer is ignored",
		file: "engine/repository/packer.go", old: "err = errors.Join(err, context.Cause(p.ctx))", new: "err = errors.Join(err)",
		pkg: "engine/repository", run: "^TestPacker",
	},
	{
		what: "the manifest is published first",
		file: "engine/repository/publish.go", old: "refs = append(refs, FileRef{Path: ManifestName, SizeBytes: int64(len(manifest)), SHA256: SumHash(manifest)})",
		new: "refs = append([]FileRef{{Path: ManifestName, SizeBytes: int64(len(manifest)), SHA256: SumHash(manifest)}}, refs...)",
		pkg: "engine/repository", run: "^TestPublishOrder$",
	},
	{
		what: "the manifest is published although a chunk could not be",
		file: "engine/repository/publish.go", old: "if err := p.put(ctx, rel, rel, name, c.SizeBytes, c.SHA256); err != nil {",
		new: "if err := p.put(ctx, rel, rel, name, c.SizeBytes, c.SHA256); err != nil && rel == \"\" {",
		pkg: "engine/repository", run: "^TestPublish(BadMirror|Chunks)$",
	},
	{
		what: "what is published is not compared with its hash",
		file: "engine/repository/publish.go", old: "if err == nil && (n != size || got != sum) {", new: "if err == nil && n != size && got != sum {",
		pkg: "engine/repository", run: "^TestPublishBadMirror$",
	},
	{
		what: "what is published is renamed without having been synced",
		file: "engine/repository/publish.go", old: "go func() { synced <- p.FS.Sync(temp) }()", new: "go func() { synced <- nil }()",
		pkg: "engine/repository", run: "^TestPublish",
	},
	{
		what: "the names of published chunks are not synced before the manifest",
		file: "engine/repository/publish.go", old: "if err := p.FS.SyncDir(p.Target.Path(ChunksDir)); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine/repository", run: "^TestPublishNamesAreDurable$",
	},
	{
		what: "the names of a backup's files are not synced before its manifest",
		file: "engine/repository/publish.go", old: "if f.Path == ManifestName && published > 0 {", new: "if f.Path == ManifestName && published < 0 {",
		pkg: "engine/repository", run: "^TestPublishNamesAreDurable$",
	},
	{
		what: "publishing that fails leaves its temporary file",
		file: "engine/repository/publish.go", old: "p.FS.Discard(temp)", new: "_ = temp",
		pkg: "engine/repository", run: "^TestPublishFaults$",
	},
	{
		what: "publishing goes on although it was cancelled",
		file: "engine/repository/publish.go", old: "if err := ctx.Err(); err != nil {", new: "if err := ctx.Err(); false {",
		pkg: "engine/repository", run: "^TestPublishCancelled$",
	},
	{
		what: "a folder of chunks that cannot be listed counts as empty",
		file: "engine/repository/repo.go", old: "err = l.listChunks(r.Path(name))", new: "_ = l.listChunks(r.Path(name))",
		pkg: "engine/repository", run: "^TestListingUnreadable$",
	},
	{
		what: "a chunk of another size counts as there",
		file: "engine/repository/repo.go", old: "if size, ok := l.Chunks[c.SHA256]; !ok || size != c.SizeBytes {", new: "if size, ok := l.Chunks[c.SHA256]; !ok && size != c.SizeBytes {",
		pkg: "engine/repository", run: "^TestLacks$",
	},
	{
		what: "a repository of a newer format is read by guessing",
		file: "engine/repository/repo.go", old: "if d.Format > Format {", new: "if d.Format > Format+1000 {",
		pkg: "engine/repository", run: "^TestDescriptorRefuses$",
	},
	{
		what: "a block index of another repository is believed",
		file: "engine/repository/blockindex.go", old: `got != fmt.Sprintf("%-32.32s", repositoryID)`, new: `got == fmt.Sprint(repositoryID, "x")`,
		pkg: "engine/repository", run: "^TestIndex",
	},
	{
		what: "a line of the history is not synced",
		file: "engine/state/state.go", old: "return f.Sync()", new: "return nil",
		pkg: "engine/state", run: "^TestHistory",
	},
	{
		what: "the intention to prune does not survive a power cut",
		file: "engine/state/state.go", old: "return d.writeJSON(journalName, true, j)", new: "return d.writeJSON(journalName, false, j)",
		pkg: "engine/state", run: "^TestWriteFaults$",
	},
	{
		what: "other users may look into the state directory",
		file: "engine/state/state.go", old: "if err := d.FS.Chmod(d.Path, 0o700); err != nil {", new: "if err := d.FS.Chmod(d.Path, 0o755); err != nil {",
		pkg: "engine/state", run: "^TestCreate$",
	},
	{
		what: "a run that was killed is shown as one that ended",
		file: "engine/state/status.go", old: "return s, Interrupted, nil", new: "return s, Idle, nil",
		pkg: "engine/state", run: "^Test(Activity|KilledRunIsInterrupted|Combine)$",
	},
}
