package main

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// sampleReport has round figures: those of restic are the goals' measure, the program's just meet them or not.
func sampleReport() *report {
	runs := func(r run, n int) (all []run) { return slices.Repeat([]run{r}, n) }
	plain := &result{Name: "maia-dr", About: "plain.", History: true, Ours: true, Repository: 349e6,
		First: runs(run{Seconds: 3, CPU: 5, RSS: 140e6, Commit: 2, StoredBytes: 125e6}, 3), Unchanged: runs(run{Seconds: 0.5, Commit: 0.1, RSS: 60e6}, 3),
		EachDay: append(runs(run{Seconds: 1.5, Commit: 1, RSS: 70e6, AddedBytes: 4e6, AddedFiles: 9, Chunks: 1}, 3),
			run{Seconds: 1.5, Commit: 1, RSS: 70e6, AddedBytes: 4e6, AddedFiles: 9, Chunks: 3}),
		Restore: runs(run{Seconds: 1.7, RSS: 80e6}, 3), Verify: runs(run{Seconds: 1.1, RSS: 50e6}, 3),
		Perl: runs(run{Seconds: 9}, 3), Zsh: runs(run{Seconds: 61}, 3), Version: runs(run{Seconds: 0.0085}, 20)}
	vault := &result{Name: "maia-dr with a vault", Ours: true, History: true, First: runs(run{Seconds: 3, Commit: 2.2, StoredBytes: 125e6}, 3),
		Unchanged: runs(run{Seconds: 0.9, Commit: 0.4}, 3), EachDay: runs(run{Seconds: 1.9, Commit: 1.3}, 4)}
	restic := &result{Name: "restic", About: "restic 0.19", History: true, Repository: 1700e6, First: runs(run{Seconds: 4, CPU: 6, StoredBytes: 100e6}, 3),
		Unchanged: runs(run{Seconds: 0.61}, 3), EachDay: runs(run{Seconds: 3, AddedBytes: 60e6}, 4), Restore: runs(run{Seconds: 2}, 3), Verify: runs(run{Seconds: 1}, 3)}
	fixed := &result{Name: "borg fixed 64 KiB", History: true, First: runs(run{Seconds: 6, StoredBytes: 170e6}, 3), EachDay: runs(run{Seconds: 2, AddedBytes: 20e6}, 4)}
	copied := &result{Name: "rclone copy", First: runs(run{Seconds: 1, StoredBytes: 400e6}, 3), EachDay: runs(run{Seconds: 0.5}, 4)}
	broken := &result{Name: "borg zstd", History: true, First: runs(run{Seconds: 0.1}, 3), EachDay: runs(run{Seconds: 0.1}, 4), Failed: "day 3: no\nspace"}
	return &report{Date: "2026-01-02", Machine: "a machine", Command: "make bench", Sample: "the sample", Runs: 3, Days: 4,
		Results: []*result{plain, vault, restic, broken, fixed, copied}, LeftOut: []string{"kopia: not there"}, Pip: 0.8}
}

func TestGoals(t *testing.T) {
	r := sampleReport()
	want := map[string]string{
		"a day's upload: at most 1/15": "1/15.0 × restic met", "and 1/6 of borg's": "1/5.00 × borg missed", "a day's new chunk files": "3 at most missed",
		// Neither the peer without history nor the one that failed is the fastest.
		"a day's backup until": "0.50 × borg fixed 64 KiB met", "no change: at most 1/6": "1/6.10 × restic met", "no change, with a vault": "+0.30 s met",
		"first backup": "0.50 × restic met", "stored": "1.25 × restic met", "restore": "0.85 × restic missed", "verify": "1.10 × restic missed",
		"chunk hashes alone": " not measured", "the script with perl": "9.00 s met", "the script with zsh": "61.0 s missed",
		"23 consecutive days": " not measured", "peak memory": "140 MB met", "`maia-dr version`": "8.5 ms met",
	}
	goals := r.goals()
	if len(goals) != len(want) {
		t.Errorf("%d goals, want %d", len(goals), len(want))
	}
	for begin, verdict := range want {
		i := slices.IndexFunc(goals, func(g goal) bool { return strings.HasPrefix(g.text, begin) })
		if i < 0 {
			t.Errorf("no goal %q", begin)
		} else if got := goals[i].measured + " " + goals[i].verdict(); got != verdict {
			t.Errorf("%s: %q, want %q", begin, got, verdict)
		}
	}
	r.Days = footprintDays
	if i := slices.IndexFunc(r.goals(), func(g goal) bool { return strings.HasPrefix(g.text, "23 ") && g.verdict() == "met" }); i < 0 {
		t.Errorf("after 22 days: %+v", r.goals())
	}
	if goals := (&report{}).goals(); goals != nil {
		t.Errorf("goals of nothing: %+v", goals)
	}
}

func TestTable(t *testing.T) {
	text := sampleReport().long("")
	for _, want := range []string{
		"5 backups MB",
		"| maia-dr, until the commit | 2.00 | 5.00 | 125 | 0.10 | 1.00 | 4.00 | 9 | 1.70 | 1.10 | 349 | 140/70/80 |\n",
		"| maia-dr, the whole command | 3.00 |  |  | 0.50 | 1.50 |  |  |  |  |  |  |\n",
		"| restic | 4.00 (2.00×) | 6.00 (1.20×) | 100 (0.80×) | 0.61 (6.10×) | 3.00 (3.00×) | 60.0 (15.0×) | 0 | 2.00 (1.18×) | 1.00 (0.91×) | 1700 (4.87×) | 0/0/0 |\n",
		"- maia-dr: plain.\n", "given up. day 3: no space\n", "- Left out: kopia: not there.\n", "take 0.80 s here", "medians of 3, of a day of 4", "`make bench`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	columns := 0
	for line := range strings.Lines(sampleReport().table()) {
		if n := strings.Count(line, "|"); columns == 0 {
			columns = n
		} else if n != columns {
			t.Errorf("%d bars, want %d: %s", n, columns, line)
		}
	}
	r := sampleReport()
	for i := range r.Results[0].First {
		r.Results[0].First[i].Commit = 0
	}
	if text := r.table(); !strings.Contains(text, "| maia-dr | 3.00 |") || strings.Contains(text, "| maia-dr, ") {
		t.Errorf("a program that does not say when it was complete:\n%s", text)
	}
}

func TestCurveTable(t *testing.T) {
	r := sampleReport().Results[0]
	year := *r
	year.EachDay = []run{{AddedBytes: 3e6, Seconds: 1}, {AddedBytes: 6.1e6, Seconds: 1}, {AddedBytes: 3e6, Seconds: 1}}
	text := curveTable([]curve{{Sample: "the sample", Result: r}, {Sample: "broken", Result: &result{Failed: "day 1: no"}}, {Sample: "360 days", Result: &year, Year: 360}})
	for _, want := range []string{
		"| the sample | 2.00 | 125 | 0.10 | 1.00 | 4.00 | 1.70 | 1.10 | 140 |\n", "| broken | failed: day 1: no |",
		"| 360 days | 349 | 0.00 | 3.00 | 6.10 | 0 | 1.00 | missed |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if yearVerdict(360, 1.9e9, 6e6) != "met" || yearVerdict(360, 2.1e9, 1) != "missed" || yearVerdict(359, 1, 1) != "not measured" {
		t.Error("the verdict on a year")
	}
}

func TestJSON(t *testing.T) {
	path, r := filepath.Join(t.TempDir(), "figures.json"), sampleReport()
	if err := saveJSON(path, r); err != nil {
		t.Fatal(err)
	}
	got, err := loadJSON(path)
	if err != nil || !reflect.DeepEqual(got.goals(), r.goals()) || got.long("x") != r.long("x") {
		t.Errorf("read back it says\n%s%v", got.long("x"), err)
	}
}
