package state

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"maia-dr/engine/repository"
	"maia-dr/engine/schedule"
)

// file is a file of the state directory: what its reader makes of it, and whether that is worth saving; and what writes it, without
// the syncing, which would take nearly all of the time.
type file struct {
	name string
	load func(Dir) (v any, ok bool)
	save func(Dir, any) error
}

const fuzzRepository = "00112233445566778899aabbccddeeff"

// files are those that have a reader here, but for the ledger, which has a target of its own.
var files = []file{
	{statusName, func(d Dir) (any, bool) { s, err := d.loadStatus(); return s, err == nil },
		func(d Dir, v any) error { return d.writeJSON(statusName, false, v) }},
	{identityName, func(d Dir) (any, bool) { i, err := d.Identity(nil); return i, err == nil },
		func(d Dir, v any) error { return d.writeJSON(identityName, false, v) }},
	{journalName, func(d Dir) (any, bool) { j, err := d.PruneJournal(); return j, err == nil && j != nil },
		func(d Dir, v any) error { return d.writeJSON(journalName, false, v) }},
	{secretsName, func(d Dir) (any, bool) { s, err := d.LoadSecrets(fuzzRepository); return s, err == nil },
		func(d Dir, v any) error { return d.writeJSON(secretsName, false, v) }},
	{probeName, func(d Dir) (any, bool) { p := d.LoadProbe(); return p, p != nil },
		func(d Dir, v any) error { return d.writeJSON(probeName, false, v) }},
	{keepsakesName, func(d Dir) (any, bool) { k, err := d.Keepsakes(); return k, err == nil },
		func(d Dir, v any) error { return d.writeJSON(keepsakesName, false, v) }},
	{scheduleName, func(d Dir) (any, bool) { r := d.LoadSchedule(); r.Version = 1; return r, true },
		func(d Dir, v any) error { return d.writeJSON(scheduleName, false, v) }},
	{choicesName, func(d Dir) (any, bool) { return d.PausedUntil(), false }, nil},
	{historyName, func(d Dir) (any, bool) { h, err := d.History(); return h, err == nil && len(h) > 0 },
		func(d Dir, v any) error {
			if err := os.Remove(filepath.Join(d.Path, historyName)); err != nil {
				return err
			}
			for _, h := range v.([]HistoryEntry) {
				if err := d.AppendHistory(h); err != nil {
					return err
				}
			}
			return nil
		}},
}

// fuzzSeeds returns one good content for each file.
func fuzzSeeds(t testing.TB) [][]byte {
	t.Helper()
	at := time.Date(2025, 10, 13, 3, 0, 0, 0, time.UTC)
	sum := repository.SumHash([]byte("x"))
	values := []any{
		&Status{Version: 1, Run: &Run{Kind: "backup", StartedAt: at, PID: 7}, LastBackup: &BackupResult{BackupID: "full_20251013_030000", FinishedAt: at}, Problems: []Problem{{}}},
		&Identity{StateID: fuzzRepository, RepositoryID: fuzzRepository, Writer: &repository.Writer{Format: 1, Number: 1, CreatedAt: at}},
		&PruneJournal{RepositoryID: fuzzRepository, Writer: 1, Backups: []string{"a"}, Files: map[string][]string{"a": {"b"}}, Chunks: []repository.Hash{sum}},
		&Secrets{RepositoryID: fuzzRepository, Files: map[string]string{"a": "b"}, Likely: map[string]LikelySecret{"c": {SHA256: sum, Names: []string{"d"}}}},
		&Probe{At: at, Finished: at, PID: 7, Results: []ProbeResult{{What: "home", State: AccessGranted}}},
		&Keepsakes{PasswordTypedAt: at, Sheet: &Sheet{At: at, Path: "/x", ScriptSHA256: sum}},
		&schedule.Record{Version: 1, BackupID: "full_20251013_030000", Complete: at},
		[]HistoryEntry{{Time: at, Kind: "backup", Result: "completed"}, {Time: at, Kind: "sync", Result: "completed", Sync: &Sync{At: at, Seconds: 1.5}}},
	}
	var out [][]byte
	d := newDir(t)
	for i, f := range files {
		if f.save == nil {
			out = append(out, []byte(`{"paused_until":"2025-10-13T03:00:00Z"}`))
			continue
		}
		d.put(t, f.name, "\n")
		if err := f.save(d, values[min(i, len(values)-1)]); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		out = append(out, []byte(d.read(t, f.name)))
	}
	return out
}

// TestFuzzSeeds: each seed is taken by its reader, and a piece of it is not.
func TestFuzzSeeds(t *testing.T) {
	d := newDir(t)
	for i, seed := range fuzzSeeds(t) {
		f := files[i]
		d.put(t, f.name, string(seed))
		v, ok := f.load(d)
		if at, isTime := v.(time.Time); !ok && (!isTime || at.IsZero()) {
			t.Errorf("%s: %+v", f.name, v)
		}
		d.put(t, f.name, string(seed[:len(seed)/2]))
		if half, ok := f.load(d); ok && reflect.DeepEqual(v, half) {
			t.Errorf("%s: half of it is taken for all: %+v", f.name, half)
		}
	}
}

// FuzzState: whatever lies in the state directory, its reader takes it or refuses it, and what is taken and saved is read as the
// same again.
func FuzzState(f *testing.F) {
	for i, seed := range fuzzSeeds(f) {
		f.Add(uint8(i), seed)
		f.Add(uint8(i), bytes.Replace(seed, []byte(`"`), []byte(`null`), 1))
	}
	for i := range files {
		f.Add(uint8(i), []byte("null"))
		f.Add(uint8(i), []byte(`{"state_id":"00112233445566778899aabbccddeeff","files":null,"likely":null,"results":[null],"problems":[{}]}`))
	}
	d := newDir(f)
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		x := files[int(kind)%len(files)]
		d.put(t, x.name, string(b))
		v, ok := x.load(d)
		if !ok {
			return
		}
		if err := x.save(d, v); err != nil {
			return // a year that JSON does not have
		}
		saved := d.read(t, x.name)
		again, ok := x.load(d)
		if !ok {
			t.Fatalf("%s: what was saved is not read: %s", x.name, saved)
		}
		if err := x.save(d, again); err != nil {
			t.Fatal(err)
		}
		if now := d.read(t, x.name); now != saved {
			t.Errorf("%s: %s\nwas %s", x.name, now, saved)
		}
	})
}
