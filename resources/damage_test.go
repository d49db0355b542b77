package resources

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// objects are all files of a repository that a restore uses or the index names.
func objects(t testing.TB, b *builder) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"chunks/*", b.id + "/*"} {
		paths, err := filepath.Glob(filepath.Join(b.dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			rel, err := filepath.Rel(b.dir, p)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rel)
		}
	}
	return out
}

func edit(t testing.TB, path string, f func([]byte) []byte) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkPart is checkTree for a target in which files may be missing, but only if the output names each of them.
func checkPart(t testing.TB, to string, items []item, r result) {
	t.Helper()
	var there []item
	for _, it := range items {
		if _, err := os.Lstat(filepath.Join(to, it.destination())); err == nil {
			there = append(there, it)
			continue
		}
		if !strings.Contains(r.text, "  "+it.destination()+": ") && !strings.Contains(r.text, "  "+encode(it.destination())+": ") {
			t.Errorf("%q is missing and not named", it.destination())
		}
	}
	checkTree(t, to, there)
}

// TestDamage: one flipped bit in each object, or the object gone, is found and named, and everything that does not need
// the object is restored.
func TestDamage(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "15", "16")
	// Short extents, and many small files: a bad chunk leaves holes in the middle of a tar, over headers and content.
	holes := func(b *builder) {
		b.extent = 1_500
		for i := range 60 {
			b.items = append(b.items, item{component: "maia_code", kind: 'f', path: fmt.Sprintf("many/%d", i), mode: 0o644, mtime: time.Unix(int64(i), 1), body: bytes.Repeat([]byte{byte(i)}, 50*i)})
		}
		b.items = append(b.items, item{component: "maia_code", kind: 'd', path: "many", mode: 0o755, mtime: time.Unix(9, 9)})
	}
	whole := smallRepository(t, holes)
	for i, object := range objects(t, whole) {
		t.Run(strings.ReplaceAll(object[:min(len(object), 12)]+object[max(0, len(object)-12):], "/", "_"), func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			b := smallRepository(t, holes)
			path := filepath.Join(b.dir, object)
			how := "flipped"
			if i%3 == 2 && strings.HasPrefix(object, "chunks/") {
				how = "missing"
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				edit(t, path, func(body []byte) []byte {
					body[len(body)*2/3] ^= 4
					return body
				})
			}
			m := newMachine(t, []string{"tar", "bsdtar"}[i%2], "perl")
			to := newTarget(t)
			r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes")
			if strings.HasSuffix(object, "restore.index.gz") {
				r.want(t, 1, "restore.index.gz is damaged")
				if _, err := os.Lstat(to); err == nil {
					t.Fatal("something was written")
				}
				return
			}
			r.want(t, 3, object+map[string]string{"flipped": " is damaged", "missing": " is missing"}[how])
			checkPart(t, to, b.items, r)
			for _, it := range b.items {
				if _, err := os.Lstat(filepath.Join(to, it.destination())); err != nil && !b.uses(it, object) {
					t.Errorf("%s %s: %q does not need it and is not restored:\n%s", object, how, it.path, r.text)
				}
			}
		})
	}
}

// TestSizes: a chunk that is truncated, longer, or another one is told before or while it is used.
func TestSizes(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "16")
	for _, change := range map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"extended":  func(b []byte) []byte { return append(b, 0) },
		"empty":     func([]byte) []byte { return nil },
	} {
		faults.Inject()
		b := smallRepository(t, nil)
		paths, err := filepath.Glob(filepath.Join(b.dir, "chunks/*"))
		if err != nil {
			t.Fatal(err)
		}
		edit(t, paths[0], change)
		m := newMachine(t, "bsdtar", "perl")
		to := newTarget(t)
		r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes", "--backup", backupID)
		r.want(t, 3, filepath.Base(paths[0]), " bytes instead of ")
		checkPart(t, to, b.items, r)
		// The object comes back: the same command completes the target.
		edit(t, paths[0], func([]byte) []byte { return zipOf(t, b, paths[0]) })
		m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes").want(t, 0)
		checkTree(t, to, b.items)
	}
}

// zipOf makes the bytes of a chunk again.
func zipOf(t testing.TB, b *builder, path string) []byte {
	for i, raw := range b.chunks {
		if gz := zip(t, raw, 1+i%3); hashOf(gz)+".gz" == filepath.Base(path) {
			return gz
		}
	}
	t.Fatal("no such chunk")
	return nil
}

// TestHostileIndex: an index that could lead outside the target, or that contradicts itself, is refused before anything
// is written.
func TestHostileIndex(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "17", "21")
	sum := hashOf([]byte("x"))
	entry := func(path string) string { return "entry f maia_code 644 1.000000000 1 " + sum + " " + path }
	add := func(lines ...string) func([]string) []string {
		return func(all []string) []string { return append(all, lines...) }
	}
	replace := func(prefix, with string) func([]string) []string {
		return func(all []string) []string {
			i := slices.IndexFunc(all, func(l string) bool { return strings.HasPrefix(l, prefix) })
			all[i] = with
			return all
		}
	}
	cases := map[string]func([]string) []string{
		"dotdot":            add(entry("../escape")),
		"dotdot inside":     add(entry("claude/../../escape")),
		"dotdot at the end": add(entry("claude/..")),
		"dotdot, agent":     add("entry f launchagents 644 1.000000000 1 " + sum + " ../../../../../escape"),
		"dotdot, package":   add("entry f dependencies 644 1.000000000 1 " + sum + " ../escape"),
		"absolute":          add(entry("/escape")),
		"dot":               add(entry("./escape")),
		"empty component":   add(entry("claude//escape")),
		"final slash":       add(entry("claude/")),
		"empty":             add(entry("-")),
		"below a link":      add("entry l maia_code 777 1.000000000 0 - out /tmp", entry("out/escape")),
		"below a file":      add(entry("CLAUDE.md/escape")),
		"twice":             add(entry("CLAUDE.md")),
		"encoded slash":     add(entry(`..\0057..\0057escape`)),
		"encoded dots":      add(entry(`\0056\0056/escape`)),
		"encoded letter":    add(entry(`\0101`)),
		"encoded NUL":       add(entry(`a\0000b`)),
		"half an escape":    add(entry(`a\00`)),
		"raw byte":          add(entry("caf\xc3\xa9")),
		"control byte":      add(entry("a\tb")),
		"two spaces":        add(strings.Replace(entry("a"), " ", "  ", 1)),
		"unknown type":      add("entry p maia_code 644 1.000000000 0 - fifo"),
		"unknown component": add("entry f other 644 1.000000000 1 " + sum + " a"),
		"unknown line":      add("run touch pwned"),
		"mode":              add("entry f maia_code 17777 1.000000000 1 " + sum + " a"),
		"time":              add("entry f maia_code 644 1.0 1 " + sum + " a"),
		"time as code":      add("entry f maia_code 644 $(id).000000000 1 " + sum + " a"),
		"size":              add("entry f maia_code 644 1.000000000 -1 " + sum + " a"),
		"hash":              add("entry f maia_code 644 1.000000000 1 " + strings.ToUpper(sum) + " a"),
		"link, no target":   add("entry l maia_code 777 1.000000000 0 - a -"),
		"database, no tar":  add("entry b maia_code 644 1.000000000 1 " + sum + " a"),
		"large, no stream":  add("entry b maia_data_large 644 1.000000000 1 " + sum + " a"),
		"extent outside":    replace("x ", "x 0 129999 999999"),
		"extent, no chunk":  replace("x ", "x 99 0 1"),
		"extent, length 0":  replace("x ", "x 0 0 0"),
		"extents short":     replace("x ", "x 0 0 1"),
		"chunk too large":   replace("chunk 0", "chunk 0 100 48000001 "+sum),
		"chunk number":      replace("chunk 1", "chunk 2 100 100 "+sum),
		"chunk name":        replace("chunk 0", "chunk 0 100 100 ../../"+sum[:58]),
		"other backup":      replace("backup", "backup full_20240101_000000"),
		"no root":           replace("root", "oldroot /x"),
		"no manifest":       replace("file", "file 1 "+sum+" other"),
		"file name":         add("file 1 " + sum + " ../x"),
		"no index":          replace("maia-restore-index", "something else"),
		"line missing":      func(all []string) []string { return all },
		"end missing":       func(all []string) []string { return all },
	}
	b := smallRepository(t, nil)
	if err := os.Remove(filepath.Join(b.dir, b.id, "backup_manifest.json")); err != nil {
		t.Fatal(err)
	}
	// One backup for each, so that one run of the script judges all.
	names := map[string]string{}
	for name, change := range cases {
		faults.Inject()
		b.id = fmt.Sprintf("full_20260101_%06d", len(names))
		names[name] = b.id
		lines := slices.Clone(b.lines)
		lines[1] = "backup " + b.id
		lines = change(lines)
		end := fmt.Sprintf("end %d", len(lines))
		switch name {
		case "line missing":
			lines = slices.Delete(lines, 8, 9)
		case "end missing":
			end = "oldroot /x"
		}
		b.writeIndex(t, append(lines, end))
		write(t, filepath.Join(b.dir, b.id, "backup_manifest.json"), []byte("{}"))
	}
	to := newTarget(t)
	m := newMachine(t, "tar", "perl")
	script := filepath.Join(b.dir, "restore_maia.sh")
	r := m.run(script, "--to", to, "--yes")
	r.want(t, 1, "no backup in")
	for name, id := range names {
		if !strings.Contains(r.text, id+" is passed over: ") || strings.Contains(r.text, id+" is passed over: it is not complete") {
			t.Errorf("%s (%s) is not refused\n%s", name, id, r.text)
		}
	}
	m.run(script, "--to", to, "--yes", "--backup", names["dotdot"]).want(t, 1, "cannot be restored: line 85 of its restore.index.gz")
	b.writeIndex(t, []string{"maia-restore-index 2", "end 1"})
	m.run(script, "--to", to, "--yes", "--backup", b.id).want(t, 1, "newer maia-dr")
	if _, err := os.Lstat(to); err == nil {
		t.Fatalf("something was written\n%s", r.text)
	}
}

// TestBombs: what is larger than the index says stops there.
func TestBombs(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "23")
	m := newMachine(t, "tar", "perl")
	to := newTarget(t)
	b := smallRepository(t, func(b *builder) {
		b.editIndex = func(lines []string) []string {
			for i, l := range lines {
				if f := strings.Fields(l); f[0] == "chunk" && f[1] == "0" {
					// The extents must fit, so the chunk below gets longer instead.
					gz := zip(t, append(slices.Clone(b.chunks[0]), make([]byte, 10<<20)...), 2)
					write(t, filepath.Join(b.dir, "chunks", hashOf(gz)+".gz"), gz)
					lines[i] = fmt.Sprintf("chunk 0 %d %s %s", len(gz), f[3], hashOf(gz))
				}
			}
			return lines
		}
	})
	r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes")
	r.want(t, 3, "does not unpack to what it was")
	checkPart(t, to, b.items, r)

	// An index that unpacks to more than lists do, and one that is too large as it is.
	index := filepath.Join(b.dir, b.id, "restore.index.gz")
	for says, body := range map[string][]byte{
		"restore.index.gz unpacks to more than any index": zip(t, bytes.Repeat([]byte("entry\n"), 4<<20), 1),
		"restore.index.gz is larger than any index":       make([]byte, 64<<20+1),
	} {
		faults.Inject()
		good, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		write(t, index, body)
		m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", newTarget(t), "--yes").want(t, 1, says)
		write(t, index, good)
	}

	// What does not fit is not begun.
	m.wrap("df", `echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo 'map auto home 10000 9000 1000 90% /with a space'`)
	to = newTarget(t)
	m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes").want(t, 1, "1.0 MB free", "not enough space")
	if _, err := os.Lstat(to); err == nil {
		t.Error("the target was made")
	}
}

// TestHostileTar: what a tar holds beyond the index, or otherwise than the index says, does not reach the target.
func TestHostileTar(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "21")
	for _, variant := range []string{"tar", "bsdtar"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			outside := t.TempDir()
			write(t, filepath.Join(outside, "secret"), []byte("secret"))
			b := smallRepository(t, func(b *builder) {
				b.items = append(b.items,
					item{component: "maia_code", kind: 'f', path: "z/fifo", mode: 0o644, mtime: time.Unix(1, 0), body: []byte("f")},
					item{component: "maia_code", kind: 'f', path: "z/hard", mode: 0o644, mtime: time.Unix(2, 0), body: []byte("secret")},
					item{component: "maia_code", kind: 'f', path: "z/twin 1", mode: 0o644, mtime: time.Unix(2, 0), body: []byte("twin")},
					item{component: "maia_code", kind: 'f', path: "z/twin 2", mode: 0o644, mtime: time.Unix(2, 0), body: []byte("twin")},
					item{component: "maia_code", kind: 'f', path: "z/device", mode: 0o644, mtime: time.Unix(3, 0), body: []byte("d")},
					item{component: "maia_code", kind: 'f', path: "z/through/file", mode: 0o644, mtime: time.Unix(4, 0), body: []byte("t")},
					item{component: "maia_code", kind: 'f', path: "z/setuid", mode: 0o640, mtime: time.Unix(5, 6), body: []byte("s")},
					item{component: "maia_code", kind: 'f', path: "z/sparse", mode: 0o640, mtime: time.Unix(5, 6), body: []byte("s")},
					item{component: "maia_code", kind: 'l', path: "z/link", mode: 0o777, mtime: time.Unix(7, 8), link: "-n"},
					item{component: "maia_code", kind: 'l', path: "z/other", mode: 0o777, mtime: time.Unix(9, 10), link: "right"},
				)
				b.editTar = func(component string, good []byte) []byte {
					if component != "maia_code" {
						return good
					}
					return hostileTar(t, b.items, outside)
				}
			})
			m := newMachine(t, variant, "perl")
			to := newTarget(t)
			r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes")
			bad := []string{"z/fifo", "z/hard", "z/twin 1", "z/twin 2", "z/device", "z/through/file", "z/sparse"}
			for _, path := range bad {
				faults.Inject()
				r.want(t, 3, "  "+path+": ")
			}
			want := slices.DeleteFunc(slices.Clone(b.items), func(it item) bool { return slices.Contains(bad, it.path) })
			// These folders stand in no entry: they are made on the way.
			checkTree(t, to, want, "z", "z/through")
			entries, err := os.ReadDir(outside)
			if err != nil || len(entries) != 1 {
				t.Errorf("outside the target: %v %v", entries, err)
			}
			if entries, err := os.ReadDir(filepath.Dir(to)); err != nil || len(entries) != 1 {
				t.Errorf("beside the target: %v %v", entries, err)
			}
		})
	}
}

// hostileTar has the items under z otherwise than the index says, and more.
func hostileTar(t testing.TB, items []item, outside string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	put := func(h tar.Header, body string) {
		h.Format = tar.FormatPAX
		if h.Mode == 0 {
			h.Mode = 0o777
		}
		h.Size = int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	put(tar.Header{Typeflag: tar.TypeReg, Name: "../escape"}, "x")
	put(tar.Header{Typeflag: tar.TypeReg, Name: outside + "/absolute"}, "x")
	put(tar.Header{Typeflag: tar.TypeSymlink, Name: "z/through", Linkname: outside}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "z/through/file"}, "t")
	put(tar.Header{Typeflag: tar.TypeLink, Name: "z/hard", Linkname: outside + "/secret"}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "z/twin 1"}, "twin")
	put(tar.Header{Typeflag: tar.TypeLink, Name: "z/twin 2", Linkname: "z/twin 1"}, "")
	put(tar.Header{Typeflag: tar.TypeFifo, Name: "z/fifo"}, "")
	put(tar.Header{Typeflag: tar.TypeChar, Name: "z/device", Devmajor: 1, Devminor: 3}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "z/setuid", Mode: 0o6777, ModTime: time.Unix(99, 0)}, "s")
	put(tar.Header{Typeflag: tar.TypeSymlink, Name: "z/other", Linkname: "wrong"}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "stranger"}, "x")
	put(tar.Header{Typeflag: tar.TypeDir, Name: "strange folder/"}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "strange folder/claude"}, "x")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "claude/data/tickets.db"}, "not the database")
	for _, it := range items {
		if it.component != "maia_code" || strings.HasPrefix(it.path, "z/") {
			continue
		}
		h := tar.Header{Name: it.path, Mode: it.mode, ModTime: it.mtime, Typeflag: tar.TypeReg}
		switch it.kind {
		case 'd':
			h.Name, h.Typeflag = it.path+"/", tar.TypeDir
		case 'l':
			h.Linkname, h.Typeflag = it.link, tar.TypeSymlink
		}
		put(h, string(it.body))
	}
	put(tar.Header{Typeflag: tar.TypeLink, Name: "extra hard 2", Linkname: "CLAUDE.md"}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "CLAUDE.md", Mode: 0o644, ModTime: items[3].mtime}, "# Maia\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(sparse("z/sparse", 1<<40), out.Bytes()...)
}

// sparse is an old GNU sparse file of apparent size, which holds nothing.
func sparse(name string, size int64) []byte {
	var h [512]byte
	copy(h[0:], name)
	copy(h[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00")
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	// One empty piece at the end, and the real size in base 256.
	put := func(at int, n int64) {
		h[at] = 0x80
		for i := range 8 {
			h[at+11-i] = byte(n >> (8 * i))
		}
	}
	put(386, size)
	put(398, 0)
	put(483, size)
	copy(h[148:], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h[:]
}
