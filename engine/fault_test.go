package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/packaging/ci/faults/matrix"
)

// allOps are the kinds of calls that can fail.
var allOps = []fsx.Op{
	fsx.OpCreate, fsx.OpWrite, fsx.OpSync, fsx.OpRename, fsx.OpRemove, fsx.OpMkdir, fsx.OpSyncDir, fsx.OpClone, fsx.OpMetadata, fsx.OpSymlink,
}

// failures are what a disk says, and the code the user is told; a code of "" is any.
var failures = []struct {
	err  error
	code engine.Code
}{
	{unix.ENOSPC, engine.CodeDiskFull}, {unix.EIO, ""}, {unix.EROFS, engine.CodeReadOnly}, {unix.EDQUOT, engine.CodeDiskFull},
	{unix.EACCES, engine.CodeReadOnly}, {unix.EINTR, ""}, {unix.EMFILE, ""},
}

// injector fails calls of one kind: the nth, counted from 1, or from it on.
type injector struct {
	op      fsx.Op
	n       int
	forever bool
	err     error

	mu     sync.Mutex
	counts map[fsx.Op]int
	hit    string
}

func (x *injector) fault(op fsx.Op, path string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.counts == nil {
		x.counts = map[fsx.Op]int{}
	}
	x.counts[op]++
	if op != x.op || x.counts[op] < x.n || x.counts[op] > x.n && !x.forever {
		return nil
	}
	if x.hit == "" {
		x.hit = path
	}
	return x.err
}

// inject runs do with an injector.
func (r *rig) inject(x *injector, do func() error) error {
	f := x.fault
	r.fault.Store(&f)
	defer r.fault.Store(nil)
	return do()
}

// honest checks that an error says what failed and what to do.
func (x *injector) honest(t *testing.T, err error, code engine.Code) {
	t.Helper()
	if err == nil {
		return
	}
	var known *engine.Error
	if !errors.As(err, &known) || known.Advice() == "" {
		t.Errorf("%v does not say what to do", err)
	} else if code != "" && known.Code != code {
		t.Errorf("%v is told as %s, want %s", err, known.Code, code)
	}
	if !errors.Is(err, x.err) {
		t.Errorf("%v does not come from %v", err, x.err)
	}
}

func (x *injector) String() string {
	often := "once"
	if x.forever {
		often = "from then on"
	}
	return fmt.Sprintf("%v at %s %d %s, first on %s", x.err, x.op, x.n, often, x.hit)
}

// failing is a call to fail, and the code the user is told.
type failing struct {
	injector
	code engine.Code
}

// ordinals picks some calls of each kind and has each fail in one way; with -full every one, with a full disk, with EIO
// and in a third way.
func ordinals(counts map[fsx.Op]int, each int, rnd *rand.Rand) []*failing {
	var out []*failing
	add := func(op fsx.Op, n, way int) {
		f := failures[way%len(failures)]
		if op == fsx.OpRename && way%len(failures) == 6 { // instead of EMFILE
			f.err, f.code = unix.EXDEV, ""
		}
		out = append(out, &failing{injector{op: op, n: n, err: f.err}, f.code})
	}
	for _, op := range allOps {
		for i, n := range rnd.Perm(counts[op]) {
			switch {
			case matrix.Full():
				for _, way := range []int{0, 1, 2 + i%(len(failures)-2)} {
					add(op, n+1, way)
				}
			case i < each:
				add(op, n+1, len(out))
			}
		}
	}
	return out
}

// failingRows counts for the row of each fault.
type failingRows struct{ full, broken, sync, rename, readOnly *matrix.Counter }

func (f failingRows) inject(x *injector) {
	switch {
	case x.op == fsx.OpSync && !x.forever:
		f.sync.Inject()
	case x.op == fsx.OpRename && (errors.Is(x.err, unix.EXDEV) || errors.Is(x.err, unix.EACCES)):
		f.rename.Inject()
	case errors.Is(x.err, unix.ENOSPC), errors.Is(x.err, unix.EDQUOT):
		f.full.Inject()
	case errors.Is(x.err, unix.EROFS), errors.Is(x.err, unix.EACCES):
		f.readOnly.Inject()
	default:
		f.broken.Inject()
	}
}

// TestFailingBackup makes calls of each kind fail, once and from then on.
func TestFailingBackup(t *testing.T) {
	rows := failingRows{matrix.Of(t, "4"), matrix.Of(t, "5"), matrix.Of(t, "6"), matrix.Of(t, "7"), matrix.Of(t, "9")}
	for lane, forever := range []bool{false, true} {
		t.Run(fmt.Sprint("forever=", forever), func(t *testing.T) {
			t.Parallel()
			k := newKiller(t, uint64(50+lane))
			k.config.Retention = keepTwo
			for range 2 {
				k.backup()
				k.change()
			}
			count := &injector{}
			try := func() error {
				_, err := k.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
				return err
			}
			if err := k.inject(count, try); err != nil {
				t.Fatal(err)
			}
			k.clock = k.clock.Add(24 * time.Hour)
			kinds, succeeded := map[fsx.Op]bool{}, 0
			for i, x := range ordinals(count.counts, 2-lane, k.rnd) {
				x.forever = forever
				k.change()
				before := k.scene()
				rows.inject(&x.injector)
				err := k.inject(&x.injector, try)
				done := k.said("seed %d: %s: %v", killSeed, x, err)
				if kinds[x.op] = kinds[x.op] || x.hit != ""; err == nil {
					succeeded++
				}
				x.honest(t, err, x.code)
				k.survived(before)
				k.failureTold(&x.injector, err)
				k.clock = k.clock.Add(time.Hour)
				res := k.recovered(i%6 == 5)
				if i%10 == 9 {
					restored, _ := k.restore("latest")
					k.sameAsSource(restored, res.Manifest)
				}
				if done(); t.Failed() {
					return
				}
			}
			for op := range count.counts {
				if !kinds[op] && op != fsx.OpSymlink { // a backup makes none of its own
					t.Errorf("no %s failed", op)
				}
			}
			t.Logf("%d runs succeeded in spite of the fault; calls: %v", succeeded, count.counts)
		})
	}
}

// failureTold checks that the status tells of a failed run wherever it could be written.
func (r *rig) failureTold(x *injector, err error) {
	r.t.Helper()
	st, serr := r.engine().Status()
	if serr != nil {
		r.t.Errorf("status: %v", serr)
		return
	}
	told := slices.ContainsFunc(st.Problems, func(p state.Problem) bool { return p.Code == string(engine.CodeOf(err)) && p.Hint != "" })
	// Before the run has begun, and where the status itself is what fails, there is nobody to tell.
	inState := strings.HasPrefix(x.hit, r.state) && !strings.HasPrefix(x.hit, r.mirror())
	if err != nil && !told && !x.forever && !inState {
		r.t.Errorf("the status does not tell of %v: %+v", err, st.Problems)
	}
	if err == nil && st.Activity != state.Idle && !x.forever && !inState {
		r.t.Errorf("the run is over and the status says %s", st.Activity)
	}
}

// TestFailingPrune: a prune that cannot go on stops, and the next one ends what it began.
func TestFailingPrune(t *testing.T) {
	t.Parallel()
	rows := failingRows{matrix.Of(t, "4"), matrix.Of(t, "5"), matrix.Of(t, "6"), matrix.Of(t, "7"), matrix.Of(t, "9")}
	k := newKiller(t, 60)
	for range 5 {
		k.backup()
		k.change()
	}
	back := k.bookmark()
	k.config.Retention = keepTwo
	prune := func() error {
		_, err := k.engine().Prune(t.Context(), engine.PruneOptions{})
		return err
	}
	count := &injector{}
	if err := k.inject(count, prune); err != nil {
		t.Fatal(err)
	}
	for i, x := range ordinals(count.counts, 1, k.rnd) {
		x.forever = i%2 == 0
		rows.inject(&x.injector)
		back()
		before := k.scene()
		err := k.inject(&x.injector, prune)
		done := k.said("seed %d: %s: %v", killSeed, x, err)
		x.honest(t, err, x.code)
		k.survived(before)
		if err := prune(); err != nil {
			t.Errorf("the prune after it: %v", err)
		}
		k.tidy()
		if kept := k.whole(k.shelf()); len(kept) != 2 {
			t.Errorf("%d backups are left, want 2", len(kept))
		}
		if done(); t.Failed() {
			return
		}
	}
	k.recovered(true)
}

// TestFailingRestore: a restore that cannot go on stops, loses nothing of the target, and can be run again.
func TestFailingRestore(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "24")
	rows := failingRows{matrix.Of(t, "4"), matrix.Of(t, "5"), matrix.Of(t, "6"), matrix.Of(t, "7"), matrix.Of(t, "9")}
	k := newKiller(t, 70)
	m := k.backup().Manifest
	template := k.base + "/template"
	mkdir(t, template)
	k.makeTarget(template + "/maia")
	before := contents(t, template)
	place := k.base + "/place"
	fresh := func() {
		remove(t, place)
		copyTree(t, template, place)
	}
	restore := func() error {
		res, err := k.engine().Restore(t.Context(), engine.RestoreOptions{Backup: m.BackupID, To: place + "/maia"})
		if err == nil && len(res.Failed)+len(res.Doubtful) > 0 {
			t.Errorf("failed %q, doubtful %q", res.Failed, res.Doubtful)
		}
		return err
	}
	fresh()
	count := &injector{}
	if err := k.inject(count, restore); err != nil {
		t.Fatal(err)
	}
	shelf := k.scene()
	for i, x := range ordinals(count.counts, 1, k.rnd) {
		x.forever = i%2 == 0
		rows.inject(&x.injector)
		faults.Inject()
		fresh()
		err := k.inject(&x.injector, restore)
		done := k.said("seed %d: %s: %v", killSeed, x, err)
		x.honest(t, err, x.code)
		k.survived(shelf)
		k.nothingLost(before, place)
		k.clock = k.clock.Add(time.Minute)
		if err := restore(); err != nil {
			t.Errorf("the restore after it: %v", err)
		}
		k.nothingLost(before, place)
		k.sameSource(snapshotTree(t, place+"/maia"), m)
		if done(); t.Failed() {
			return
		}
	}
}

// TestRestoreSyncs: a restore ends well only if the large database and the target's volume could be synced.
func TestRestoreSyncs(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "6")
	k := newKiller(t, 71)
	m := k.backup().Manifest
	place := filepath.Join(k.base, "place")
	restore := func() error {
		remove(t, place)
		_, err := k.engine().Restore(t.Context(), engine.RestoreOptions{Backup: m.BackupID, To: place})
		return err
	}
	var mu sync.Mutex
	var synced []string
	count := func(op fsx.Op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == fsx.OpSync && strings.HasPrefix(path, place) {
			synced = append(synced, path)
		}
		return nil
	}
	k.fault.Store(&count)
	err := restore()
	k.fault.Store(nil)
	large := 0
	for _, s := range m.Streams() {
		if s.Database != nil {
			large++
		}
	}
	if err != nil || large == 0 || len(synced) != large+1 || !slices.Contains(synced, place) {
		t.Fatalf("%v; of %d large databases and %s were synced %q", err, large, place, synced)
	}
	for _, bad := range synced {
		faults.Inject()
		fail := func(op fsx.Op, path string) error {
			if op == fsx.OpSync && path == bad {
				return unix.EIO
			}
			return nil
		}
		k.fault.Store(&fail)
		err := restore()
		k.fault.Store(nil)
		if !errors.Is(err, unix.EIO) {
			t.Errorf("%s cannot be synced: %v", bad, err)
		}
	}
}

// TestFailingVerify: a chunk that cannot be replaced is told as bad, and nothing is lost.
func TestFailingVerify(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "4")
	k := newKiller(t, 80)
	m := k.backup().Manifest
	bad := k.repo() + "/chunks/" + repository.ChunkName(m.Chunks[0].SHA256)
	for _, op := range []fsx.Op{fsx.OpClone, fsx.OpCreate, fsx.OpSync, fsx.OpRename, fsx.OpSyncDir} {
		faults.Inject()
		flip(t, bad, 100)
		k.failOn(op, "publish.tmp", unix.ENOSPC)
		if op == fsx.OpRename || op == fsx.OpSyncDir {
			k.failOn(op, "OneDrive", unix.ENOSPC)
		}
		res, err := k.engine().Verify(t.Context(), engine.VerifyOptions{All: true})
		k.fault.Store(nil)
		if err == nil && res.OK() && op != fsx.OpClone {
			t.Errorf("%s: the chunk could not be replaced, and all is said to be well: %+v", op, res)
		}
		if _, _, err := repository.HashFile(bad); err != nil {
			t.Errorf("%s: %v", op, err)
		}
		k.unlocked()
		k.verifyAll()
	}
	k.whole(k.shelf())
}
