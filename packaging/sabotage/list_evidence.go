package main

// evidence breaks what is said of it all: upload, status, exit codes, notifications.
var evidence = []mutation{
	{
		what: "OneDrive's word is believed when nobody saw it run",
		file: "engine/onedrive/provider.go", old: "h.Running != Yes:", new: "h.Running == No:",
		pkg: "engine/onedrive", run: "^TestWordOfWhoMayNotRun$",
	},
	{
		what: "one look at an upload is proof",
		file: "engine/onedrive/track.go", old: ">= Settle:", new: ">= 0:",
		pkg: "engine/onedrive", run: "^Test(Verdicts|NoProofWithoutEvidence)$",
	},
	{
		what: "what is not proven is called uploaded",
		file: "engine/onedrive/track.go", old: "return min(t.Last, Uploading)", new: "return t.Last",
		pkg: "engine/onedrive", run: "^Test(Verdicts|NoProofWithoutEvidence)$",
	},
	{
		what: "a file that was replaced keeps its proof",
		file: "engine/onedrive/track.go", old: "(o.Missing || t.Print == nil || *t.Print != o.Print) {", new: "o.Missing {",
		pkg: "engine/onedrive", run: "^Test(Verdicts|NoProofWithoutEvidence)$",
	},
	{
		what: "an answer about a file of another size is believed",
		file: "engine/onedrive/evaluate.go", old: "err != nil || got != size {", new: "err != nil || got < 0 {",
		pkg: "engine/onedrive", run: "^TestParseEvaluate$",
	},
	{
		what: "unknown is shown as done",
		file: "engine/onedrive/judge.go", old: "case top < ClientUploaded, silent:\n\t\tj.Verdict = Unknowable", new: "case top < ClientUploaded, silent:\n\t\tj.Verdict = Done",
		pkg: "engine/onedrive", run: "^Test(Verdicts|Plain|NoProofWithoutEvidence)$",
	},
	{
		what: "a OneDrive folder that vanished is replaced by another one",
		file: "engine/onedrive/folder.go", old: "case o.Remembered != \"\":\n", new: "case o.Remembered == \"x\":\n",
		pkg: "engine/onedrive", run: "^TestFind",
	},
	{
		what: "it is green without a full drill",
		file: "engine/sync_status.go", old: "s.Overdue, !s.Restore.Proven,", new: "s.Overdue,",
		pkg: "engine", run: "^TestGreen$",
	},
	{
		what: "a backup of yesterday morning is not overdue",
		file: "engine/status.go", old: "age > Overdue {", new: "age > 2*Overdue {",
		pkg: "engine", run: "^TestOverdue$",
	},
	{
		what: "the menu calls a failed drill proven",
		file: "tray/menu/build.go", old: "r.LastFull.Passed && b.now", new: "b.now",
		pkg: "tray/menu", run: "^TestGreenIsProven$",
	},
	{
		what: "what cannot be read is shown as it was",
		file: "tray/menu/build.go", old: `func (b *builder) unknown() bool { return !b.s.Loaded || b.s.Failure != "" || b.s.Newer }`, new: `func (b *builder) unknown() bool { return !b.s.Loaded }`,
		pkg: "tray/menu", run: "^TestUnknownIsNoSuccess$",
	},
	{
		what: "a failure is told of again with every look",
		file: "tray/notify/ledger.go", old: "!r.Told.IsZero() && within(now, r.Told, remindAfter),", new: "",
		pkg: "tray/notify", run: "^TestLedger$",
	},
	{
		what: "every process tells of a failure",
		file: "tray/notify/ledger.go", old: "lock, err := fsx.TryLock(filepath.Join(k.Dir, lockName))", new: "lock, err := fsx.TryLock(filepath.Join(k.Dir, fmt.Sprint(lockName, time.Now().UnixNano())))",
		pkg: "tray/notify", run: "^TestExactlyOneTells$",
	},
	{
		what: "a run that failed is recorded as completed",
		file: "engine/engine.go", old: `h.Result, h.Error = "failed", err.Error()`, new: `h.Result, h.Error = "completed", err.Error()`,
		pkg: "engine", run: "^TestFailureIsRecorded$",
	},
	{
		what: "another run that is active is a usual failure",
		file: "engine/cli/exit.go", old: "return ExitBusy", new: "return ExitFailed",
		pkg: "engine/cli", run: "^TestExitCode$",
	},
	{
		what: "verify exits with 0 when something is damaged",
		file: "engine/cli/verify.go", old: "exit = ExitFailed", new: "exit = ExitDone",
		pkg: "engine/cli", run: "^TestScripts$/^verify$",
	},
	{
		what: "status exits with 0 when something needs attention",
		file: "engine/cli/status.go", old: "a.exit = ExitIncomplete", new: "a.exit = ExitDone",
		pkg: "engine/cli", run: "^TestScripts$/^status$",
	},
}
