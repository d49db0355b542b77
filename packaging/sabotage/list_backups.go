package main

// backups breaks making them, and deleting them: capture, commit, the writer, prune, retention.
var backups = []mutation{
	{
		what: "a link in the place of a file is followed",
		file: "engine/capture_file.go", old: "os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK", new: "os.O_RDONLY|unix.O_NONBLOCK",
		pkg: "engine", run: "^TestLinkInPlace$",
	},
	{
		what: "a file that vanished is left out without a warning",
		file: "engine/capture_file.go", old: `return nil, c.gone(en, "it vanished during the backup")`, new: "return nil, errGone",
		pkg: "engine", run: "^TestFilesChanging$",
	},
	{
		what: "a file that was written a moment ago counts as unchanged",
		file: "engine/statcache.go", old: "return st.MTimeNS < limit && st.CTimeNS < limit", new: "return st.MTimeNS != limit",
		pkg: "engine", run: "^TestRested$",
	},
	{
		what: "a database that changed since the inventory is taken for unchanged",
		file: "engine/capture.go", old: "if fi, err := os.Lstat(en.Source); err != nil || component.StatOf(fi) != en.Stat {", new: "if _, err := os.Lstat(en.Source); err != nil {",
		pkg: "engine", run: "^TestMovedFromWAL$",
	},
	{
		what: "a member of the last backup's list is taken over whatever it holds",
		file: "engine/repository/compress.go", old: "if !bytes.Equal(content, raw) || !bytes", new: "if len(content) > len(raw)+1<<30 || !bytes",
		pkg: "engine/repository", run: "^TestListsAreTakenOver$",
	},
	{
		what: "a large database that was only checked in part is not checked whole when it is restored",
		file: "engine/restore_check.go", old: `return db.Facts.Check == "quick_check" || db.Facts.Check == "integrity_check"`, new: "return true",
		pkg: "engine", run: "^TestDepthOfCheck$",
	},
	{
		what: "a database is copied without SQLite's lock",
		file: "engine/sqlitesnap/source.go", old: "err := s.tryLock()\n", new: "var err error\n",
		pkg: "engine/sqlitesnap", run: "^Test(RollbackInUse|Locked)$",
	},
	{
		what: "a database that changed while it was read counts as one state",
		file: "engine/sqlitesnap/open.go", old: "return err != nil || now != b.seen", new: "return err != nil",
		pkg: "engine/sqlitesnap", run: "^TestChanged$",
	},
	{
		what: "a short read of a database is accepted",
		file: "engine/sqlitesnap/sqlitesnap.go", old: "case err == nil && n == s.size:", new: "case err == nil:",
		pkg: "engine/sqlitesnap", run: "^TestShortRead$",
	},
	{
		what: "a FIFO in the place of a database is waited for",
		file: "engine/sqlitesnap/sqlitesnap.go", old: "os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK", new: "os.O_RDONLY|unix.O_NOFOLLOW",
		pkg: "engine/sqlitesnap", run: "^TestNoFile$", hang: true,
	},
	{
		what: "a folder that cannot be read counts as empty",
		file: "engine/component/walk.go", old: `w.leftOut(Code, rel, "the folder cannot be listed: "+Reason(err), true, true)`, new: "_ = rel",
		pkg: "engine/component", run: "^TestUnreadableIsNeverEmpty$",
	},
	{
		what: "the new backup is not read back",
		file: "engine/commit.go", old: "if err := b.readBack(files); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine", run: "^TestReadBack$",
	},
	{
		what: "the lists of a new backup are not decoded once more",
		file: "engine/commit.go", old: "if _, problems := checkContents(b.manifest, b.raw, b.small, func() decodedIndex { return decodeIndex(b.restoreIndex) }); len(problems) > 0 {",
		new: "if _, problems := checkContents(b.manifest, b.raw, b.small, func() decodedIndex { return decodeIndex(b.restoreIndex) }); len(problems) > 9 {",
		pkg: "engine", run: "^TestListsAreChecked$",
	},
	{
		what: "new chunks are not read back",
		file: "engine/backup.go", old: "if err := b.readStreams(); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine", run: "^TestSecretInText$",
	},
	{
		what: "new chunks are not hashed when they are read back",
		file: "engine/readback.go", old: "return !b.seal.fresh && !fresh[c.SHA256]", new: "return !b.seal.fresh && fresh != nil",
		pkg: "engine", run: "^TestNewChunkReadBack$",
	},
	{
		what: "chunks of earlier days are not hashed when they are read for a new secret",
		file: "engine/readback.go", old: "return !b.seal.fresh && !fresh[c.SHA256]", new: "return !fresh[c.SHA256]",
		pkg: "engine", run: "^TestOldChunkInPart$",
	},
	{
		what: "the chunks are not looked at again before the commit",
		file: "engine/commit.go", old: "if err := b.chunksPresent(); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine", run: "^TestChunkGone$",
	},
	{
		what: "the manifest is written before the files it names",
		file: "engine/commit.go", old: "files[repository.RestoreIndexName] = b.restoreIndex", new: "files[repository.RestoreIndexName], files[repository.ManifestName] = b.restoreIndex, b.raw",
		pkg: "engine", run: "^TestOrderOnDisk$",
	},
	{
		what: "it is not looked at again whether the repository is the same",
		file: "engine/publish.go", old: "err != nil || d.RepositoryID != b.descriptor.RepositoryID {", new: "err != nil && d == nil && b == nil {",
		pkg: "engine", run: "^TestRepositoryReplaced$",
	},
	{
		what: "a folder without repository.json becomes a new repository",
		file: "engine/session.go", old: `if s.id.RepositoryID != "" {`, new: `if s.id.RepositoryID == "x" {`,
		pkg: "engine", run: "^Test(PruneRefuses|Errors)$",
	},
	{
		what: "any machine may write",
		file: "engine/session.go", old: "return w.StateID == s.id.StateID && (", new: `return w.StateID != "" || (`,
		pkg: "engine", run: "^TestPruneRefuses$",
	},
	{
		what: "after an adoption the mirror's chunks are used",
		file: "engine/session.go", old: "if err := s.emptyMirror(); err != nil {\n\t\t\treturn false, err", new: "if err := error(nil); err != nil {\n\t\t\treturn false, err",
		pkg: "engine", run: "^TestAdoptBack$",
	},
	{
		what: "the mirror forgets what OneDrive does not have yet",
		file: "engine/session.go", old: "if i < len(s.catalogue)-2 && len(m.Lacks(s.listing)) == 0 {", new: "if i < len(s.catalogue)-1 {",
		pkg: "engine", run: "^TestUnpublishedStay$",
	},
	{
		what: "a manifest that is not the one its index names is believed",
		file: "engine/repository/checked.go", old: "if ref.SizeBytes != int64(len(raw)) || ref.SHA256 != sum {", new: "if ref.SizeBytes < 0 {",
		pkg: "engine", run: "^TestAlteredCatalogue$",
	},
	{
		what: "two runs at once",
		file: "engine/state/state.go", old: "return fsx.TryLock(filepath.Join(d.Path, lockName)) }", new: "return fsx.TryLock(filepath.Join(d.Path, fmt.Sprint(lockName, time.Now().UnixNano()))) }",
		pkg: "engine/state", run: "^TestActivity$",
	},
	{
		what: "prune deletes although a backup is not in the listing",
		file: "engine/prune.go", old: "if _, ok := listing.Backups[id][repository.ManifestName]; !ok {", new: "if _, ok := listing.Backups[id][repository.ManifestName]; !ok && id == \"\" {",
		pkg: "engine", run: "^TestPruneRefuses$",
	},
	{
		what: "prune after a backup goes by the listing of its beginning",
		file: "engine/prune.go", old: "listing, err := s.target.List()\n", new: "listing, err := s.listing, error(nil)\n",
		pkg: "engine", run: "^TestPruneListsAgain$",
	},
	{
		what: "prune deletes chunks of a foreign backup",
		file: "engine/prune.go", old: "\t\tif known[id] {\n", new: "\t\tif known[id] || id != \"\" {\n",
		pkg: "engine", run: "^TestForeignBackups$",
	},
	{
		what: "prune deletes chunks although a foreign manifest cannot be read",
		file: "engine/prune.go", old: `res.ChunksKept = fmt.Sprintf("the manifest of %s, which is`, new: `_ = fmt.Sprintf("the manifest of %s, which is`,
		pkg: "engine", run: "^TestForeignBackups$",
	},
	{
		what: "prune deletes a stranger's file with the folder",
		file: "engine/prune.go", old: "if err := remove(id); err != nil && !isNotEmpty(err) {", new: "if err := s.e.fs.RemoveAll(s.target.Path(id)); err != nil {",
		pkg: "engine", run: "^TestConflictCopies$",
	},
	{
		what: "prune deletes chunks that another backup needs",
		file: "engine/prune.go", old: "if chunks && !needed[ref.SHA256] {", new: "if chunks {",
		pkg: "engine", run: "^TestConflictCopies$",
	},
	{
		what: "prune deletes chunks before the manifests are gone for good",
		file: "engine/prune.go", old: "if err := s.e.fs.SyncDir(s.target.Dir); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine", run: "^TestOrderOnDisk$",
	},
	{
		what: "prune deletes files of a backup before its manifest is gone for good",
		file: "engine/prune.go", old: "if err := s.syncIfThere(s.target.Path(id)); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine", run: "^TestOrderOnDisk$",
	},
	{
		what: "an interrupted prune deletes what is needed by now",
		file: "engine/prune.go", old: "return needed[h] || res.ChunksKept != \"\" })", new: "return needed == nil || res.ChunksKept != \"\" })",
		pkg: "engine", run: "^TestJournal$",
	},
	{
		what: "retention keeps one backup less of each rule",
		file: "engine/retention/retention.go", old: "chosen = chosen[:n]", new: "chosen = chosen[:max(n-1, 0)]",
		pkg: "engine/retention", run: "^TestThreeYearsDaily$",
	},
	{
		what: "retention keeps only the last backup whatever its rules are",
		file: "engine/retention/retention.go", old: "keepNewest(complete, 2,", new: "keepNewest(complete, 1,",
		pkg: "engine/retention", run: "^Test(Invariants|Reasons)$",
	},
	{
		what: "retention removes incomplete backups",
		file: "engine/retention/retention.go", old: "if v.Complete {", new: "if v.ID != \"\" {",
		pkg: "engine/retention", run: "^TestIncompleteIsNotCounted$",
	},
	{
		what: "retention drops the last backup with a vault",
		file: "engine/retention/retention.go", old: "func(b Backup) bool { return b.Vault }", new: "func(b Backup) bool { return b.Vault && b.Drilled }",
		pkg: "engine/retention", run: "^Test(Invariants|Reasons)$",
	},
	{
		what: "retention reaches at once what was adopted in part",
		file: "engine/prune.go", old: "s.spareAdopted(decisions)", new: "_ = s",
		pkg: "engine", run: "^TestAdoptedInPart$", full: true,
	},
	{
		what: "the retention of a backup forgets what is uploaded",
		file: "engine/prune.go", old: "Uploaded: uploaded[m.BackupID],", new: "Uploaded: uploaded[\"\"],",
		pkg: "engine", run: "^TestRetentionKeepsTheUploaded$",
	},
}
