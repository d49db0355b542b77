package engine_test

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// disk knows of some folders what a power cut would leave: of each file the content it had when it was last synced, of
// each folder the names it had then. Everything else may be there, in part, or not.
type disk struct {
	t     testing.TB
	roots []string
	mu    sync.Mutex
	blobs map[repository.Hash][]byte
	// files and names are durable, by inode.
	files map[uint64]repository.Hash
	names map[uint64]map[string]node
}

// node is something in a folder.
type node struct {
	inode uint64
	dir   bool
	mode  fs.FileMode
}

// image is a disk as a power cut left it: what lies at each path. A folder has no hash.
type image map[string]struct {
	node
	sum repository.Hash
}

// A form is what became of the things that were not synced.
type form string

const (
	formStrict form = "only what was synced"
	formNames  form = "names without content"
	formZeros  form = "names with zeros for content"
	formData   form = "content without names"
	formMixed  form = "some of each"
)

var forms = []form{formStrict, formNames, formZeros, formData, formMixed}

func newDisk(t testing.TB, roots ...string) *disk {
	d := &disk{t: t, roots: roots, blobs: map[repository.Hash][]byte{}, files: map[uint64]repository.Hash{}, names: map[uint64]map[string]node{}}
	for _, root := range roots {
		d.settle(root)
	}
	return d
}

// settle makes all that is there durable.
func (d *disk) settle(dir string) {
	_, names := d.list(dir)
	for name, n := range names {
		if n.dir {
			d.settle(filepath.Join(dir, name))
		} else {
			d.files[n.inode], _ = d.read(filepath.Join(dir, name))
		}
	}
}

// list remembers a folder's names as durable.
func (d *disk) list(dir string) (uint64, map[string]node) {
	self, names := d.look(dir)
	if names != nil {
		d.names[self] = names
	}
	return self, names
}

// look returns what lies in a folder now; nil: there is none.
func (d *disk) look(dir string) (self uint64, names map[string]node) {
	fi, err := os.Lstat(dir)
	if err != nil || !fi.IsDir() {
		return 0, nil
	}
	self = inodeOf(fi)
	list, err := os.ReadDir(dir)
	if err != nil {
		return self, nil
	}
	names = map[string]node{}
	for _, e := range list {
		if fi, err := e.Info(); err == nil && (fi.IsDir() || fi.Mode().IsRegular()) {
			names[e.Name()] = node{inodeOf(fi), fi.IsDir(), fi.Mode().Perm()}
		}
	}
	return self, names
}

func inodeOf(fi fs.FileInfo) uint64 {
	st, _ := fi.Sys().(*syscall.Stat_t)
	return st.Ino
}

// read returns what a file holds now.
func (d *disk) read(path string) (repository.Hash, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return repository.Hash{}, false
	}
	return d.keep(b), true
}

func (d *disk) keep(b []byte) repository.Hash {
	sum := repository.SumHash(b)
	d.blobs[sum] = b
	return sum
}

// synced is fsx's word that something is durable.
func (d *disk) synced(op fsx.Op, path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fi, err := os.Lstat(path)
	switch {
	case err != nil: // it has no name any more
	case op == fsx.OpSyncDir:
		d.list(path)
	default:
		if sum, ok := d.read(path); ok {
			d.files[inodeOf(fi)] = sum
		}
	}
}

// cut returns the images of a power cut at this moment.
func (d *disk) cut(f form, rnd *rand.Rand) image {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &cutting{disk: d, form: f, rnd: rnd, coins: map[uint64]bool{}, out: image{}}
	for _, root := range d.roots {
		if self, _ := d.look(root); self != 0 {
			c.folder(root, root, self)
		}
	}
	return c.out
}

type cutting struct {
	*disk
	form  form
	rnd   *rand.Rand
	coins map[uint64]bool
	out   image
}

// coin decides for an inode, once: a rename happened in both its folders, or in none.
func (c *cutting) coin(inode uint64) bool {
	if _, ok := c.coins[inode]; !ok {
		c.coins[inode] = c.rnd.IntN(2) == 0
	}
	return c.coins[inode]
}

// folder adds a folder at path; now is where it lies at present, or "".
func (c *cutting) folder(path, now string, self uint64) {
	durable := c.names[self]
	var present map[string]node
	if now != "" {
		_, present = c.look(now)
	}
	names := map[string]bool{}
	for name := range durable {
		names[name] = true
	}
	for name := range present {
		names[name] = true
	}
	for name := range names {
		before, was := durable[name]
		after, is := present[name]
		happened := c.form == formNames || c.form == formZeros
		if c.form == formMixed {
			happened = c.coin(after.inode)
			if !is {
				happened = c.coin(before.inode)
			}
		}
		n, ok := before, was
		if happened {
			n, ok = after, is
		}
		if !ok {
			continue
		}
		at := ""
		if is && after.inode == n.inode {
			at = filepath.Join(now, name)
		}
		c.add(filepath.Join(path, name), at, n)
	}
}

func (c *cutting) add(path, now string, n node) {
	entry := c.out[path]
	entry.node = n
	if !n.dir {
		entry.sum = c.content(now, n.inode)
	}
	c.out[path] = entry
	if n.dir {
		c.folder(path, now, n.inode)
	}
}

// content is what a file holds after the cut.
func (c *cutting) content(now string, inode uint64) repository.Hash {
	durable, was := c.files[inode]
	present, is := durable, false
	if now != "" {
		present, is = c.read(now)
	}
	if !was {
		durable = c.keep(nil)
	}
	if !is || was && present == durable {
		return durable
	}
	lost := durable
	switch body := c.blobs[present]; {
	case c.form == formData:
		return present
	case c.form == formZeros && !was:
		return c.keep(make([]byte, len(body)))
	case c.form == formMixed:
		switch c.rnd.IntN(4) {
		case 0:
			return present
		case 1:
			return c.keep(body[:len(body)/2])
		case 2:
			return c.keep(make([]byte, len(body)))
		}
	}
	return lost
}

// boot puts an image in the place of what lies in the folders.
func (d *disk) boot(i image) {
	d.t.Helper()
	for _, root := range d.roots {
		for _, e := range entries(d.t, root) {
			remove(d.t, filepath.Join(root, e.Name()))
		}
	}
	for path, e := range i {
		dir := path
		if !e.dir {
			dir = filepath.Dir(path)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			d.t.Fatal(err)
		}
		if e.dir {
			continue
		}
		if err := os.WriteFile(path, d.blobs[e.sum], 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}
