package engine_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// calendar is when backups were made in the simulated two years: now and then at first, then weekly, then daily.
func calendar() []time.Time {
	at := time.Date(2024, 1, 31, 3, 0, 0, 0, time.UTC)
	out := []time.Time{at}
	add := func(n, days int) {
		for range n {
			at = at.AddDate(0, 0, days)
			out = append(out, at)
		}
	}
	add(13, 30)
	add(6, 7)
	add(3, 3)
	add(9, 1)
	if matrix.Full() {
		add(120, 1)
	}
	return out
}

// TestTwoYears makes backups over two simulated years, each with a day's changes and its own retention.
func TestTwoYears(t *testing.T) {
	t.Parallel()
	matrix.Count(t, len(calendar()), "12")
	r := newRig(t)
	var stored, source int64
	sources := map[string]map[string]string{}
	manifests := map[string]*repository.Manifest{}
	pruned := map[string]bool{}
	use := &chunkUse{streak: map[repository.Hash]int{}, ever: map[repository.Hash]bool{}}
	for n, at := range calendar() {
		r.clock = at
		r.day(n + 1)
		res := r.backup()
		sources[res.BackupID] = snapshotTree(t, r.fix.Root)
		manifests[res.BackupID] = res.Manifest
		use.add(res.Manifest)
		stored, source = stored+res.StoredBytes, source+res.SourceBytes
		for _, id := range res.Pruned {
			pruned[id] = true
		}
		if len(res.Warnings) > 0 {
			t.Errorf("%s: %+v", res.BackupID, res.Warnings)
		}
	}
	r.tidy()
	kept := newestFirst(r.whole(r.shelf()))
	if len(kept) != 23 || len(kept)+len(pruned) != len(manifests) {
		t.Errorf("%d backups were made, %d pruned, %d are left, want 23", len(manifests), len(pruned), len(kept))
	}
	plan, err := r.engine().Prune(t.Context(), engine.PruneOptions{DryRun: true})
	if err != nil || len(plan.Removed) > 0 {
		t.Errorf("a prune would remove %+v, %v", plan, err)
	}
	rules := map[string]int{}
	for _, d := range plan.Decisions {
		if !d.Keep || len(d.Reasons) == 0 {
			t.Errorf("%+v has no reason", d)
			continue
		}
		rule, _, _ := strings.Cut(d.Reasons[0], " ")
		rules[rule]++
	}
	if want := map[string]int{"daily": 7, "weekly": 4, "monthly": 12}; !maps.Equal(rules, want) {
		t.Errorf("kept by rule: %v, want %v", rules, want)
	}
	list, err := r.engine().List()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d backups made of %d kB each, %d kB stored in all; %d kept in %d kB, %d chunks", len(manifests), source/int64(len(manifests))/1000,
		stored/1000, len(list.Backups), list.TotalBytes/1000, len(entries(t, r.repo()+"/chunks")))
	if list.TotalBytes > source/int64(len(manifests))*6 {
		t.Errorf("23 backups of %d bytes take %d", source/int64(len(manifests)), list.TotalBytes)
	}
	if v := r.verifyAll(); len(v.Backups) != len(kept) {
		t.Errorf("%d verified", len(v.Backups))
	}
	for i, id := range kept {
		if i%4 != 0 && i != len(kept)-1 && !matrix.Full() {
			continue // all were verified
		}
		restored, _ := r.restore(id)
		r.sameTrees(sources[id], snapshotTree(t, restored), manifests[id])
		remove(t, restored)
	}
	for id := range pruned {
		if _, err := r.engine().Show(id, false); engine.CodeOf(err) != engine.CodeUnknownBackup {
			t.Errorf("%s was pruned: %v", id, err)
		}
	}
	use.check(r)
}

// chunkUse follows how much of its chunks each newest backup needs.
type chunkUse struct {
	streak         map[repository.Hash]int // newest backups in a row that used less than 20 % of it
	ever           map[repository.Hash]bool
	longest        int
	most, now, low int // chunks a backup referred to, those the last one does, those of them little used
}

func (u *chunkUse) add(m *repository.Manifest) {
	u.now, u.low = len(m.Chunks), 0
	u.most = max(u.most, u.now)
	for i, used := range m.ChunkUse() {
		c := m.Chunks[i]
		u.ever[c.SHA256] = true
		if used*100 >= c.RawBytes*20 {
			u.streak[c.SHA256] = 0
			continue
		}
		u.low++
		u.streak[c.SHA256]++
		u.longest = max(u.longest, u.streak[c.SHA256])
	}
}

// check: little-used chunks are given up one a run, the emptiest first, and the index forgets what is gone.
func (u *chunkUse) check(r *rig) {
	r.t.Helper()
	r.t.Logf("%d chunks at most, %d now, %d of them used under 20 %%; the longest that one was: %d backups", u.most, u.now, u.low, u.longest)
	// The sample grows by what is new each day, and with it the number of chunks that hold something of the present: by one in about 15 days.
	most, longest := 20, 8
	if matrix.Full() {
		most, longest = 25, 20
	}
	if u.most > most || u.low > 5 || u.longest > longest {
		r.t.Error("chunks that are little used are not given up")
	}
	descriptor, err := repository.Repo{Dir: r.mirror()}.Descriptor()
	if err != nil {
		r.t.Fatal(err)
	}
	index := filepath.Join(r.state, "block.index")
	x, err := repository.LoadIndex(index, descriptor.RepositoryID)
	if err != nil {
		r.t.Fatal(err)
	}
	listing, err := repository.Repo{Dir: r.mirror()}.List()
	if err != nil {
		r.t.Fatal(err)
	}
	for h := range u.ever {
		_, there := listing.Chunks[h]
		if _, known := x.FindChunk(h); known && !there {
			r.t.Errorf("the block index knows chunk %s, which is not in the mirror", h)
		}
	}
	grown := read(r.t, index)
	remove(r.t, index)
	remove(r.t, filepath.Join(r.state, "stat.cache"))
	r.backup()
	// It also knows what the newest backup has no use for, in chunks of which it uses 20 % and more.
	if anew := read(r.t, index); len(grown)*20 > 100*len(anew) {
		r.t.Errorf("the block index has grown to %d bytes; made anew it has %d", len(grown), len(anew))
	}
}

// TestClockAhead: a clock that ran ahead and came back costs no backup, and ids go on growing.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "12")
	r := newRig(t)
	var ids []string
	real := r.clock
	for i, ahead := range []time.Duration{0, 24 * time.Hour, 400 * 24 * time.Hour, 48 * time.Hour, 72 * time.Hour, 96 * time.Hour} {
		faults.Inject()
		r.clock = real.Add(ahead)
		res := r.backup()
		ids = append(ids, res.BackupID)
		warned := slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "clock_behind" })
		if warned != (i > 2) {
			t.Errorf("backup %d: warnings %+v", i, res.Warnings)
		}
		if len(res.Pruned) > 0 {
			t.Errorf("backup %d: pruned %v", i, res.Pruned)
		}
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("ids: %v", ids)
	}
	if v := r.verifyAll(); len(v.Backups) != len(ids) {
		t.Errorf("%d of %d backups are left", len(v.Backups), len(ids))
	}
}
