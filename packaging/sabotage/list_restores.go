package main

// restores breaks giving back, verifying and rehearsing.
var restores = []mutation{
	{
		what: "a chunk is not compared with its hash",
		file: "engine/repository/source.go", old: "got != ref.SHA256 {", new: "got == (Hash{}) {",
		pkg: "engine/repository", run: "^TestCheckChunkFindsEveryFlip$",
	},
	{
		what: "a chunk that is too short is accepted",
		file: "engine/repository/source.go", old: "if pos < end || whole && pos != ref.RawBytes {", new: "if pos < 0 {",
		pkg: "engine/repository", run: "^Test(Content|Source)",
	},
	{
		what: "a chunk unpacks to more than it may",
		file: "engine/repository/source.go", old: "> ref.RawBytes {", new: "> ref.RawBytes<<20 {",
		pkg: "engine/repository", run: "^TestBombStops$",
	},
	{
		what: "a full disk is taken for a damaged chunk",
		file: "engine/repository/source.go", old: "if errors.As(err, &we) || ctx.Err() != nil {", new: "if ctx.Err() != nil && errors.As(err, &we) {",
		pkg: "engine/repository", run: "^TestSourceDestinationFails$",
	},
	{
		what: "a chunk counts as there before it is read",
		file: "engine/repository/source.go", old: "			err := s.copyChunk(ctx, chunks[i], list, whole, progress)",
		new: "			if s.Done != nil {\n\t\t\t\ts.Done(i, nil)\n\t\t\t}\n\t\t\terr := s.copyChunk(ctx, chunks[i], list, whole, progress)",
		pkg: "engine/repository", run: "^TestSourceReportsEachBadChunk$",
	},
	{
		what: "a file is not told that its chunk is damaged",
		file: "engine/repository/source.go", old: "				s.Done(i, ce)", new: "				s.Done(i, nil)",
		pkg: "engine/repository", run: "^TestSourceReportsEachBadChunk$",
	},
	{
		what: "a manifest that was replaced meanwhile is verified by",
		file: "engine/verify_folder.go", old: "if err == nil && repository.SumHash(raw) != l.sum {", new: "if err == nil && repository.SumHash(raw) == (repository.Hash{}) {",
		pkg: "engine", run: "^TestVerifyManifestChanges$",
	},
	{
		what: "a path with .. is valid",
		file: "engine/repository/decode.go", old: `strings.HasPrefix(p, "../") ||`, new: "",
		pkg: "engine/repository", run: "^TestValidatePath$",
	},
	{
		what: "an absolute path is valid",
		file: "engine/repository/decode.go", old: `p == "." || strings.HasPrefix(p, "/") ||`, new: `p == "." ||`,
		pkg: "engine/repository", run: "^TestValidatePath$",
	},
	{
		what: "what stands for a manifest's extents is believed wherever it stands",
		file: "engine/repository/decode.go", old: "return !slices.ContainsFunc(standInDigits, func(d []byte) bool { return bytes.Contains(part, d) })", new: "return true",
		pkg: "engine/repository", run: "^TestManifestExtents$",
	},
	{
		what: "JSON with a key that stands twice is read",
		file: "engine/repository/json.go", old: "if top.seen[k] {", new: "if top.seen[k] && k == \"\" {",
		pkg: "engine/repository", run: "^TestManifestRefusesText$",
	},
	{
		what: "a file of a backup's folder is not compared with its hash",
		file: "engine/repository/repo.go", old: "if SumHash(b) != m.Files[i].SHA256 {", new: "if b == nil {",
		pkg: "engine/repository", run: "^TestReadManifestAndFiles$",
	},
	{
		what: "a restored file is not compared with its hash",
		file: "engine/restore_fetch.go", old: "if repository.Hash(sum.Sum(nil)) == *f.SHA256 {", new: "if sum != nil {",
		pkg: "engine", run: "^TestChunkLost$",
	},
	{
		what: "a file of the backup's folder is restored though it is another",
		file: "engine/restore_fetch.go", old: "if repository.SumHash(p.body) != *f.SHA256 {", new: "if repository.SumHash(p.body) == (repository.Hash{}) {",
		pkg: "engine", run: "^TestForgedFolderFile$",
	},
	{
		what: "what is in the way is overwritten",
		file: "engine/restore_run.go", old: "if err := r.clear(p.area, p.rel); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine", run: "^TestInTheWay$",
	},
	{
		what: "a stale -wal stays beside a restored database",
		file: "engine/restore_run.go", old: "if err := r.clear(p.area, p.rel+suffix); err != nil {", new: "if err := error(nil); suffix == \"\" {",
		pkg: "engine", run: "^TestInTheWay$",
	},
	{
		what: "setuid is given back",
		file: "engine/restore_run.go", old: "mode := fs.FileMode(bits & 0o777)", new: "mode := fs.FileMode(bits&0o777) | fs.FileMode(bits&0o4000>>11)*fs.ModeSetuid",
		pkg: "engine", run: "^TestLinksOutside$",
	},
	{
		what: "a restore writes through a link to a folder",
		file: "engine/restore_area.go", old: "fi, err := os.Lstat(a.path(rel))\n", new: "fi, err := os.Stat(a.path(rel))\n",
		pkg: "engine", run: "^TestInTheWay$",
	},
	{
		what: "agents of a backup that nothing proves go to the home",
		file: "engine/restore_area.go", old: "case !r.plan.Authenticated:", new: "case r.plan == nil:",
		pkg: "engine", run: "^Test(NoMac|NoPassword|AgentsAreLoaded)$",
	},
	{
		what: "two restores at once to one target",
		file: "engine/restore_lock.go", old: "if held != me && r.e.isRunning(r.ctx, held) {", new: "if held != me && held == \"\" {",
		pkg: "engine", run: "^TestLockOfTarget$",
	},
	{
		what: "files are not compared with their hashes by verify",
		file: "engine/check.go", old: "if n != f.SizeBytes || repository.Hash(sum.Sum(nil)) != *f.SHA256 {", new: "if n != f.SizeBytes {",
		pkg: "engine", run: "^TestVerifyFindsForged$",
	},
	{
		what: "verify passes over chunks that are bad everywhere",
		file: "engine/verify.go", old: "w.res.BadChunks = append(w.res.BadChunks, fmt.Sprintf(\"%s: %v\", name, first))", new: "_ = first",
		pkg: "engine", run: "^TestChunkLost$",
	},
	{
		what: "what was not read counts as verified",
		file: "engine/verify.go", old: "out.OK = len(out.Problems) == 0 && out.NotRead == 0", new: "out.OK = len(out.Problems) == 0",
		pkg: "engine/cli", run: "^TestScripts$/^evicted$",
	},
	{
		what: "the index does not have to say what the manifest says",
		file: "engine/check.go", old: "if !repository.NewRestoreIndex(m, raw, files, originOf(m)).HasLines(d.lines) {", new: "if d.index == nil {",
		pkg: "engine", run: "^TestSabotage$/^each$/the_index_lacks_a_line", full: true,
	},
	{
		what: "the drill does not compare the headers in the tars",
		file: "engine/drill_check.go", old: "if !bytes.Equal(got, p.want) && len(bad) == 0 {", new: "if got == nil && bytes.Equal(got, p.want) {",
		pkg: "engine", run: "^TestSabotage$/^each$/another_mode", full: true,
	},
	{
		what: "the drill does not count rows",
		file: "engine/drill_check.go", old: "!ok || n != rows {", new: "!ok && n != rows {",
		pkg: "engine", run: "^TestSabotage$/^each$/a_row_of_a_database", full: true,
	},
	{
		what: "the drill believes any script at the top",
		file: "engine/drill_check.go", old: "case sum != own && sum != shipped:", new: "case sum != own && sum != shipped && err != nil:",
		pkg: "engine", run: "^TestSabotage$/^each$/the_script_at_the_top", full: true,
	},
	{
		what: "a file that is not what it was is not looked for in the other copy of its chunks",
		file: "engine/restore_fetch.go", old: "p.doubted = \"its bytes are not what they were\", true", new: "p.doubted = \"its bytes are not what they were\", false",
		pkg: "engine", run: "^TestImposters$",
	},
}
