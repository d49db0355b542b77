package repository

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
)

// publishing is a mirror with the example, a target and a recorder of what happens to the target.
type publishing struct {
	x       *example
	p       *Publisher
	mu      sync.Mutex // chunks come two at a time
	renames []string   // names relative to the target, in order
	removed []string
	fault   func(op fsx.Op, path string) error
}

func newPublishing(t testing.TB) *publishing {
	t.Helper()
	u := &publishing{x: newExample(t)}
	dir := t.TempDir()
	mirror := u.x.write(t, filepath.Join(dir, "mirror"))
	target := Repo{Dir: filepath.Join(dir, "target")}
	if err := target.Init(Descriptor{Format: 1, RepositoryID: testRepositoryID, Encryption: "none"}); err != nil {
		t.Fatal(err)
	}
	staging := filepath.Join(dir, "staging")
	if err := os.Mkdir(staging, 0o700); err != nil {
		t.Fatal(err)
	}
	u.p = &Publisher{Mirror: mirror, Target: target, Staging: staging, FS: &fsx.FS{Fault: func(op fsx.Op, path string) error {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.fault != nil {
			if err := u.fault(op, path); err != nil {
				return err
			}
		}
		rel, err := filepath.Rel(target.Dir, path)
		if err == nil && !strings.HasPrefix(rel, "..") {
			switch op {
			case fsx.OpRename:
				u.renames = append(u.renames, filepath.ToSlash(rel))
			case fsx.OpRemove:
				u.removed = append(u.removed, filepath.ToSlash(rel))
			}
		}
		return nil
	}}}
	return u
}

// addChunks gives the backup chunks that no stream needs.
func (u *publishing) addChunks(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		content := bytes.Repeat([]byte{byte(i)}, 1000*(i+1))
		b := storedGzip(content)
		ref := ChunkRef{SHA256: SumHash(b), SizeBytes: int64(len(b)), RawBytes: int64(len(content))}
		u.x.manifest.Chunks = append(u.x.manifest.Chunks, ref)
		put(t, u.p.Mirror.Path(ChunksDir, ChunkName(ref.SHA256)), b)
	}
	u.x.encode(t)
	put(t, u.p.Mirror.Path(exampleID, ManifestName), u.x.raw)
	index, err := u.x.index.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	put(t, u.p.Mirror.Path(exampleID, RestoreIndexName), index)
}

func (u *publishing) publish(t *testing.T) (int, error) {
	t.Helper()
	l, err := u.p.Target.List()
	if err != nil {
		t.Fatal(err)
	}
	n, err := u.p.Publish(t.Context(), u.x.manifest, u.x.raw, l)
	if err == nil {
		// What arrived is entered in the listing.
		fresh, lerr := u.p.Target.List()
		if lerr != nil || !reflect.DeepEqual(fresh.Backups, l.Backups) || !reflect.DeepEqual(fresh.Chunks, l.Chunks) {
			t.Errorf("the listing is %+v, want %+v: %v", l, fresh, lerr)
		}
	}
	return n, err
}

// wantPublished fails unless the target is the mirror.
func (u *publishing) wantPublished(t *testing.T) {
	t.Helper()
	want, got := tree(t, u.p.Mirror.Dir), tree(t, u.p.Target.Dir)
	delete(want, RepositoryName)
	delete(got, RepositoryName)
	if !maps.Equal(got, want) {
		t.Errorf("published %v, want %v", names(got), names(want))
	}
	if left := names(tree(t, u.p.Staging)); len(left) > 0 {
		t.Errorf("staging holds %v", left)
	}
}

func (u *publishing) chunk() string {
	return ChunksDir + "/" + ChunkName(u.x.manifest.Chunks[0].SHA256)
}

func TestPublishOrder(t *testing.T) {
	u := newPublishing(t)
	var told int64
	u.p.Progress = func(n int64) { told += n }
	n, err := u.publish(t)
	if err != nil {
		t.Fatal(err)
	}
	u.wantPublished(t)
	want := []string{u.chunk(), exampleID + "/" + FilesName, exampleID + "/" + SystemMetadataName, exampleID + "/" + RestoreIndexName, exampleID + "/" + ManifestName}
	if !slices.Equal(u.renames, want) || n != len(want) {
		t.Errorf("%d files in this order: %v\nwant %v", n, u.renames, want)
	}
	var size int64
	for name, b := range tree(t, u.p.Target.Dir) {
		if name != RepositoryName {
			size += int64(len(b))
		}
	}
	if told != size || len(u.removed) > 0 {
		t.Errorf("progress of %d bytes, want %d; removed %v", told, size, u.removed)
	}
	// Once more: nothing to do, and nothing is done.
	u.renames = nil
	if n, err := u.publish(t); n != 0 || err != nil || u.renames != nil {
		t.Error(n, err, u.renames)
	}
}

// Chunks come two at a time, and all of them before anything else. One that is missing keeps the manifest out, and what has
// arrived is in the listing.
func TestPublishChunks(t *testing.T) {
	u := newPublishing(t)
	u.addChunks(t, 5)
	lost := u.p.Mirror.Path(ChunksDir, ChunkName(u.x.manifest.Chunks[2].SHA256))
	b, err := os.ReadFile(lost)
	if err = errors.Join(err, os.Remove(lost)); err != nil {
		t.Fatal(err)
	}
	l, err := u.p.Target.List()
	if err != nil {
		t.Fatal(err)
	}
	n, err := u.p.Publish(t.Context(), u.x.manifest, u.x.raw, l)
	fresh, lerr := u.p.Target.List()
	if !errors.Is(err, ErrMissing) || lerr != nil || len(fresh.Chunks) != n || !maps.Equal(fresh.Chunks, l.Chunks) || len(fresh.Backups) > 0 {
		t.Errorf("%d published, %v; the listing is %+v, want %+v: %v", n, err, l, fresh, lerr)
	}
	wantNoTemps(t, u.p.Staging)
	put(t, lost, b)
	rest, err := u.publish(t)
	if err != nil {
		t.Fatal(err)
	}
	u.wantPublished(t)
	chunks := len(u.x.manifest.Chunks)
	for i, name := range u.renames {
		if strings.HasPrefix(name, ChunksDir+"/") != (i < chunks) {
			t.Errorf("in this order: %v", u.renames)
			break
		}
	}
	if len(u.renames) != n+rest {
		t.Errorf("%d and %d published, %d renamed", n, rest, len(u.renames))
	}
}

// The MAC of a backup comes between its index and its manifest.
func TestPublishMAC(t *testing.T) {
	u := newPublishing(t)
	put(t, u.p.Mirror.Path(exampleID, MACName), []byte("mac"))
	if _, err := u.publish(t); err != nil {
		t.Fatal(err)
	}
	u.wantPublished(t)
	if n := len(u.renames); u.renames[n-2] != exampleID+"/"+MACName || u.renames[n-1] != exampleID+"/"+ManifestName {
		t.Error(u.renames)
	}
}

// Whatever is missing in the target, or has another size there, is published again, and nothing else.
func TestPublishRepairs(t *testing.T) {
	faults := matrix.Of(t, "16")
	for _, how := range []string{"missing", "truncated"} {
		for _, name := range []string{"chunk", FilesName, SystemMetadataName, RestoreIndexName, ManifestName} {
			faults.Inject()
			u := newPublishing(t)
			if _, err := u.publish(t); err != nil {
				t.Fatal(err)
			}
			rel := exampleID + "/" + name
			if name == "chunk" {
				rel = u.chunk()
			}
			if how == "missing" {
				if err := os.Remove(u.p.Target.Path(rel)); err != nil {
					t.Fatal(err)
				}
			} else {
				put(t, u.p.Target.Path(rel), []byte("x"))
			}
			u.renames = nil
			if n, err := u.publish(t); n != 1 || err != nil || !slices.Equal(u.renames, []string{rel}) {
				t.Errorf("%s %s: %d files, %v, %v", name, how, n, u.renames, err)
			}
			u.wantPublished(t)
		}
	}
}

// Files of others in the target stay as they are.
func TestPublishLeavesStrangers(t *testing.T) {
	u := newPublishing(t)
	if err := os.Mkdir(u.p.Target.Path(exampleID), 0o700); err != nil {
		t.Fatal(err)
	}
	strangers := []string{"notes.txt", exampleID + "/mine.txt", "chunks/chunk.1.tmp", exampleID + "/backup_manifest-Mac.json"}
	for _, name := range strangers {
		put(t, u.p.Target.Path(name), []byte("stranger"))
	}
	if _, err := u.publish(t); err != nil {
		t.Fatal(err)
	}
	got := tree(t, u.p.Target.Dir)
	for _, name := range strangers {
		if got[name] != "stranger" {
			t.Errorf("%s is %q", name, got[name])
		}
	}
}

// What the mirror lacks, or holds damaged, is not published, and the manifest neither.
func TestPublishBadMirror(t *testing.T) {
	faults := matrix.Of(t, "16")
	for _, how := range []string{"missing", "flipped", "truncated", "another"} {
		for _, name := range []string{"chunk", FilesName, SystemMetadataName, RestoreIndexName} {
			faults.Inject()
			u := newPublishing(t)
			rel := exampleID + "/" + name
			if name == "chunk" {
				rel = u.chunk()
			}
			path := u.p.Mirror.Path(rel)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := ErrDamaged
			switch how {
			case "missing":
				want = ErrMissing
				err = os.Remove(path)
			case "flipped":
				b[len(b)/2] ^= 4
				put(t, path, b)
			case "truncated":
				put(t, path, b[:len(b)-1])
			case "another":
				put(t, path, bytes.Repeat([]byte("x"), len(b)))
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.publish(t)
			if name == RestoreIndexName && how != "missing" {
				continue // the mirror's own file is its record: read back before the manifest was written
			}
			if !errors.Is(err, want) {
				t.Errorf("%s %s: %v", name, how, err)
			}
			got := tree(t, u.p.Target.Dir)
			if _, ok := got[exampleID+"/"+ManifestName]; ok {
				t.Errorf("%s %s: the manifest is published", name, how)
			}
			if _, ok := got[rel]; ok {
				t.Errorf("%s %s: it is published", name, how)
			}
			wantNoTemps(t, u.p.Target.Dir)
			wantNoTemps(t, u.p.Staging)
		}
	}
}

// The nth call fails: nothing wrong lies under a final name, the manifest only over a complete backup, and the next
// run publishes the rest.
func TestPublishFaults(t *testing.T) {
	faults := matrix.Of(t, "5")
	seen := map[fsx.Op]bool{}
	for n := 1; ; n++ {
		faults.Inject()
		u := newPublishing(t)
		u.addChunks(t, 2)
		calls := 0
		u.fault = func(op fsx.Op, _ string) error {
			if calls++; calls == n {
				seen[op] = true
				return syscall.EIO
			}
			return nil
		}
		_, err := u.publish(t)
		want, got := tree(t, u.p.Mirror.Dir), tree(t, u.p.Target.Dir)
		for name, b := range got {
			if name != RepositoryName && want[name] != b {
				t.Fatalf("call %d: %s is wrong", n, name)
			}
		}
		if _, ok := got[exampleID+"/"+ManifestName]; ok && len(got) != len(want) {
			t.Fatalf("call %d: the manifest stands over %v", n, names(got))
		}
		wantNoTemps(t, u.p.Staging)
		if calls < n {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		// A clone that fails is no failure: the bytes are copied.
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Fatalf("call %d: %v", n, err)
		}
		u.fault = nil
		if _, err := u.publish(t); err != nil {
			t.Fatalf("after call %d failed: %v", n, err)
		}
		u.wantPublished(t)
		if len(u.removed) > 0 {
			t.Fatalf("call %d: removed %v", n, u.removed)
		}
	}
	for _, op := range []fsx.Op{fsx.OpClone, fsx.OpCreate, fsx.OpWrite, fsx.OpSync, fsx.OpRename, fsx.OpRemove, fsx.OpMkdir, fsx.OpSyncDir} {
		if !seen[op] {
			t.Errorf("no %s failed", op)
		}
	}
}

// When the manifest gets its name, all that it names has one that is durable: a power cut leaves no manifest without a chunk. That
// holds, too, where an earlier run renamed the chunks and was killed before it synced their folder.
func TestPublishNamesAreDurable(t *testing.T) {
	u := newPublishing(t)
	loose := map[string]string{} // by folder, a name in it
	synced := map[string]bool{}
	u.fault = func(op fsx.Op, path string) error {
		dir := filepath.Dir(path)
		switch {
		case op == fsx.OpRename && filepath.Base(path) == ManifestName:
			if len(loose) > 0 || !synced[u.p.Target.Path(ChunksDir)] {
				t.Errorf("the manifest is named, and these are not durable: %v; synced: %v", loose, synced)
			}
			loose[dir] = path
		case op == fsx.OpRename || op == fsx.OpMkdir:
			loose[dir] = path
		case op == fsx.OpSyncDir:
			delete(loose, path)
			synced[path] = true
		}
		return nil
	}
	for range 2 {
		if _, err := u.publish(t); err != nil || len(loose) > 0 {
			t.Errorf("%v; not durable: %v", err, loose)
		}
		// The chunk lies there already; whether its name is durable, nobody knows.
		if err := os.RemoveAll(u.p.Target.Path(exampleID)); err != nil {
			t.Fatal(err)
		}
		clear(synced)
	}
}

// Staging on another volume: the file goes into the target under a temporary name, and from there to its own.
func TestPublishAcrossVolumes(t *testing.T) {
	matrix.Count(t, 1, "7")
	u := newPublishing(t)
	u.addChunks(t, 5)
	u.fault = func(op fsx.Op, path string) error {
		if _, err := os.Lstat(path + fsx.TempSuffix); op == fsx.OpRename && err != nil {
			return unix.EXDEV
		}
		return nil
	}
	if _, err := u.publish(t); err != nil {
		t.Fatal(err)
	}
	u.wantPublished(t)
	for _, name := range u.removed {
		if !strings.HasSuffix(name, fsx.TempSuffix) {
			t.Errorf("%s was removed", name)
		}
	}
	if u.renames[len(u.renames)-1] != exampleID+"/"+ManifestName {
		t.Error(u.renames)
	}
}

func TestPublishCancelled(t *testing.T) {
	u := newPublishing(t)
	ctx, cancel := context.WithCancel(t.Context())
	l, err := u.p.Target.List()
	if err != nil {
		t.Fatal(err)
	}
	u.fault = func(op fsx.Op, _ string) error {
		if op == fsx.OpRename {
			cancel()
		}
		return nil
	}
	n, err := u.p.Publish(ctx, u.x.manifest, u.x.raw, l)
	if n != 1 || !errors.Is(err, context.Canceled) {
		t.Error(n, err)
	}
	if _, err := os.Lstat(u.p.Target.Path(exampleID, ManifestName)); err == nil {
		t.Error("the manifest is published")
	}
}

// The target vanished, or a file lies where the backup's folder should be.
func TestPublishWithoutTarget(t *testing.T) {
	matrix.Count(t, 1, "9")
	u := newPublishing(t)
	l, err := u.p.Target.List()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(u.p.Target.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := u.p.Publish(t.Context(), u.x.manifest, u.x.raw, l); err == nil {
		t.Error("published into nothing")
	}
	if _, err := os.Lstat(u.p.Target.Dir); err == nil {
		t.Error("the vanished folder came back")
	}
	u = newPublishing(t)
	put(t, u.p.Target.Path(exampleID), []byte("stranger"))
	if _, err := u.publish(t); err == nil {
		t.Error("published into a file")
	}
	if got := tree(t, u.p.Target.Dir)[exampleID]; got != "stranger" {
		t.Errorf("the file is %q", got)
	}
}

func TestPutAs(t *testing.T) {
	u := newPublishing(t)
	b := []byte("new script")
	put(t, u.p.Mirror.Path("script.1"), b)
	put(t, u.p.Target.Path(ScriptName), []byte("old"))
	if err := u.p.PutAs(t.Context(), "script.1", ScriptName, int64(len(b)), SumHash([]byte("other"))); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if got := tree(t, u.p.Target.Dir)[ScriptName]; got != "old" {
		t.Errorf("it is %q", got)
	}
	if err := u.p.PutAs(t.Context(), "script.1", ScriptName, int64(len(b)), SumHash(b)); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, u.p.Target.Dir)[ScriptName]; got != string(b) {
		t.Errorf("it is %q", got)
	}
	if err := u.p.Put(t.Context(), "none", 1, Hash{}); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}
