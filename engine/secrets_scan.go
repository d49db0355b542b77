package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// leak is a captured value that stands in the plain in what is about to be published.
type leak struct {
	component, path string
	// name is the secret's; never its value.
	name string
}

// leakError says that values stand in text files: they have to go into the vault, and the backup is made once more.
type leakError struct{ moved []string }

func (l *leakError) Error() string {
	return "captured secrets stand in the plain in " + strings.Join(l.moved, ", ")
}

// maxLikely is the largest text file that is looked through for likely secrets.
const maxLikely = 8 << 20

// scan looks for captured values in everything that is about to be published. It is used by several goroutines.
type scan struct {
	b       *backup
	scanner *vault.Scanner

	mu    sync.Mutex
	leaks []leak
	// older are chunks that only earlier backups refer to.
	older map[repository.Hash][]string
}

func (b *backup) newScan() *scan {
	return &scan{b: b, scanner: vault.NewScanner(b.seal.needles), older: map[repository.Hash][]string{}}
}

func (s *scan) found(component, path, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := leak{component, path, name}
	if !slices.Contains(s.leaks, l) {
		s.leaks = append(s.leaks, l)
	}
}

// folder scans the files that this program wrote: the backup's folder, and what is in its archives.
func (s *scan) folder() error {
	b := s.b
	own := map[string][]byte{repository.ManifestName: b.raw}
	for name, body := range b.small {
		if name == repository.VaultName || name == repository.ScriptName {
			continue // sealed, and the same for everybody
		}
		if strings.HasSuffix(name, ".gz") && !strings.HasSuffix(name, ".tar.gz") {
			plain, err := repository.DecodeRestoreIndexLines(body) // any small gzip
			if err != nil {
				return err
			}
			body = plain
		}
		own[name] = body
	}
	for name, body := range own {
		if strings.HasSuffix(name, ".tar.gz") {
			continue // file by file, below
		}
		s.bytes(ownFile, name, body)
	}
	for at, body := range b.archived {
		component, path, _ := strings.Cut(at, "/")
		s.bytes(component, path, body)
	}
	s.bytes(namesOnly, "", b.userNames())
	return nil
}

// namesOnly stands for a component: the names that the user gave to files, folders and the machine. They stand in every
// list, and no list is better for a value that is also a name.
const namesOnly = "names"

func (b *backup) userNames() []byte {
	inv := b.inventory
	names := []string{b.root, b.folder.Path, b.e.env.Home, b.e.env.Hostname}
	for i := range b.files {
		names = append(names, string(b.files[i].Path), string(b.files[i].Link))
	}
	for _, l := range inv.LeftOut {
		names = append(names, l.Path)
	}
	for _, s := range inv.Secrets {
		names = append(append(names, s.Path), s.Names...)
	}
	for _, x := range inv.Excluded {
		names = append(append(names, x.Rule), x.Examples...)
	}
	return []byte(strings.Join(names, "\n"))
}

// ownFile stands for a component: a file this program wrote itself.
const ownFile = ""

func (s *scan) bytes(component, path string, body []byte) {
	st := s.scanner.Stream(func(m vault.Match) { s.found(component, path, m.Label) })
	_, _ = st.Write(body)
}

// file returns what a file of a tar is to be written to while it is read back: the scan for captured values, and of a
// text that was captured in the plain the search for likely secrets.
func (s *scan) file(f *repository.File) (io.Writer, func()) {
	st := s.scanner.Stream(func(m vault.Match) { s.found(f.Component, string(f.Path), m.Label) })
	if f.Type != repository.TypeFile || f.SizeBytes > maxLikely {
		return st, func() {}
	}
	var text bytes.Buffer
	return io.MultiWriter(st, &text), func() { s.likely(f, text.Bytes()) }
}

// likely remembers what looks like a secret in a file that is captured in the plain.
func (s *scan) likely(f *repository.File, body []byte) {
	path := string(f.Path)
	s.remember(path, nil)
	if s.b.seal.redacted[place(f.Component, path)] != nil || !isText(body) {
		return
	}
	found, err := vault.Find(vault.Text, body)
	if err != nil || len(found) == 0 {
		return
	}
	var names []string
	for _, x := range found {
		if !x.Identifier {
			names = append(names, fmt.Sprintf("%s in line %d", x.Name, x.Line))
		}
	}
	if len(names) > 0 {
		s.remember(path, &state.LikelySecret{SHA256: *f.SHA256, Names: names})
	}
}

// remember enters what looks like a secret in a file; nil: nothing does.
func (s *scan) remember(path string, l *state.LikelySecret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l == nil {
		delete(s.b.memory.Likely, path)
		return
	}
	s.b.memory.Likely[path] = *l
}

func isText(b []byte) bool {
	head := b[:min(len(b), 8<<10)]
	return bytes.IndexByte(head, 0) < 0 && (utf8.Valid(head) || len(head) == 8<<10)
}

// chunks asks for chunks to their end, which also checks them, and scans what comes. Streams that a value spans are
// scanned file by file; this finds what stands in databases, and in bytes that no file refers to.
func (s *scan) chunks(numbers []int) []repository.Piece {
	b := s.b
	fresh := b.freshChunks()
	owners := sync.OnceValue(b.owners) // hardly ever is anything found
	var pieces []repository.Piece
	for _, n := range numbers {
		c := b.manifest.Chunks[n]
		st := s.scanner.Stream(func(m vault.Match) {
			o := owners().find(n, m.Offset)
			if o.component == ownFile && !fresh[c.SHA256] {
				// This backup does not refer to it; one before does.
				s.foundOlder(c.SHA256, m.Label)
				return
			}
			s.found(o.component, o.path, m.Label)
		})
		pieces = append(pieces, repository.Piece{Extent: repository.Extent{Chunk: n, Length: c.RawBytes}, Dst: sequential{st}})
	}
	return pieces
}

// earlier scans the chunks in the mirror that this backup does not refer to: a value that stands there was published
// in the plain, and has to be changed where it is used.
func (s *scan) earlier() error {
	b := s.b
	listing, err := b.mirror.List()
	if err != nil {
		return err
	}
	mine := map[repository.Hash]bool{}
	for _, c := range b.manifest.Chunks {
		mine[c.SHA256] = true
	}
	var refs []repository.ChunkRef
	for _, m := range b.catalogue {
		for _, ref := range m.Chunks {
			if !mine[ref.SHA256] && listing.Chunks[ref.SHA256] == ref.SizeBytes {
				mine[ref.SHA256] = true
				refs = append(refs, ref)
			}
		}
	}
	var pieces []repository.Piece
	for i, ref := range refs {
		st := s.scanner.Stream(func(m vault.Match) { s.foundOlder(ref.SHA256, m.Label) })
		pieces = append(pieces, repository.Piece{Extent: repository.Extent{Chunk: i, Length: ref.RawBytes}, Dst: sequential{st}})
	}
	src := &repository.Source{Dirs: []string{b.mirror.Dir}}
	// A chunk that is damaged is verify's to tell of.
	_, err = src.Copy(b.ctx, refs, pieces, false, nil)
	return err
}

func (s *scan) foundOlder(chunk repository.Hash, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.older[chunk], name) {
		s.older[chunk] = append(s.older[chunk], name)
	}
}

// sequential is a stream as the destination of one piece, whose bytes come in order.
type sequential struct{ w io.Writer }

func (q sequential) WriteAt(p []byte, _ int64) (int, error) { return q.w.Write(p) }

// owner is a run of a chunk's bytes and the file it belongs to.
type owner struct {
	chunk           int
	offset, length  int64
	component, path string
}

type owners []owner

// owners says for every byte of the backup's chunks which file it belongs to.
func (b *backup) owners() owners {
	var out owners
	groups, err := byStream(b.manifest, b.files, nil)
	if err != nil {
		return nil
	}
	for _, g := range groups {
		loc := repository.NewLocator(g.stream.Extents)
		for _, f := range g.files {
			x, err := loc.Slice(f.Offset, f.SizeBytes)
			if err != nil {
				continue
			}
			for _, e := range x {
				out = append(out, owner{e.Chunk, e.Offset, e.Length, f.Component, string(f.Path)})
			}
		}
	}
	slices.SortFunc(out, func(x, y owner) int { return cmp.Or(x.chunk-y.chunk, cmp.Compare(x.offset, y.offset)) })
	return out
}

// find returns the owner of a byte; of bytes between files, tar headers above all, it is this program.
func (o owners) find(chunk int, at int64) owner {
	i, ok := slices.BinarySearchFunc(o, owner{chunk: chunk, offset: at}, func(x, y owner) int {
		return cmp.Or(x.chunk-y.chunk, cmp.Compare(x.offset, y.offset))
	})
	if !ok {
		i--
	}
	if i >= 0 && o[i].chunk == chunk && at < o[i].offset+o[i].length {
		return o[i]
	}
	return owner{component: ownFile, path: "a header or an abandoned copy in a chunk"}
}

// judge says what becomes of the leaks: one in what this program wrote fails the run in the end, one in a text file moves
// that into the vault, one in a database or another binary is a warning.
func (s *scan) judge() error {
	b := s.b
	var moved []string
	files := map[string]*repository.File{}
	for i := range b.files {
		files[place(b.files[i].Component, string(b.files[i].Path))] = &b.files[i]
	}
	slices.SortFunc(s.leaks, func(x, y leak) int { return cmp.Or(strings.Compare(x.path, y.path), strings.Compare(x.name, y.name)) })
	texts, names := map[string]int{}, map[string]bool{}
	for _, l := range s.leaks {
		if f := files[place(l.component, l.path)]; f != nil && f.Type == repository.TypeFile {
			texts[l.name]++
		}
		names[l.name] = names[l.name] || l.component == namesOnly
	}
	for _, l := range s.leaks {
		at := place(l.component, l.path)
		f := files[at]
		switch {
		case l.component == namesOnly && b.raw == nil:
			// Told with the folder's files, once.
		case l.component == namesOnly:
			b.inPlain("secret_in_name", "", "the value of "+l.name+" is also the name, or part of the name, of a file or folder", "change that secret where it is used")
		case l.component == ownFile && names[l.name]:
			// The name itself; told above.
		case l.component == ownFile || b.seal.redacted[at] != nil || f == nil || b.seal.sealed[at]:
			b.own = append(b.own, fmt.Sprintf("%s, in %s", l.name, l.path))
		case f.Type != repository.TypeFile || !b.textFile(f):
			b.inPlain("secret_in_binary", l.path, "the value of "+l.name+" stands in it, and it is in the backup in plain text",
				"change that secret where it is used, or exclude the file if it does not matter")
		case texts[l.name] > maxMoved:
			b.inPlain("secret_everywhere", l.path, fmt.Sprintf("the value of %s stands in it and in %s, all in the backup in plain text", l.name, counted(texts[l.name]-1, "file more", "files more")),
				"change that secret where it is used: it is no secret any more")
			texts[l.name] = 0
		case texts[l.name] == 0: // told
		case len(b.seal.password.Reveal()) == 0:
			b.inPlain("secret_in_plain", l.path, "the value of "+l.name+" stands in it, and it is in the backup in plain text: there is no vault to put it into",
				"set a vault password with `maia-dr password set`, or take the value out of the file")
		case !slices.Contains(moved, at):
			moved = append(moved, at)
		}
	}
	if len(moved) > 0 {
		return &leakError{moved}
	}
	return nil
}

// maxMoved is in how many text files a value may stand for all of them to go into the vault. What stands in more is
// known to everybody who works there.
const maxMoved = 20

// inPlain warns about a value that is published in the plain, now and as long as it is.
func (b *backup) inPlain(code, path, text, hint string) {
	b.memory.InPlain = append(b.memory.InPlain, path)
	if b.raw != nil { // the manifest is made
		b.lateWarning(code, path, text, hint)
		return
	}
	b.cap.warn(code, path, text, hint)
}

// textFile reports whether a captured file is text a person can read, by the first bytes of its source.
func (b *backup) textFile(f *repository.File) bool {
	i := slices.IndexFunc(b.inventory.Entries, func(en component.Entry) bool {
		return en.Component == f.Component && en.Path == string(f.Path)
	})
	if i < 0 {
		return false
	}
	body, err := readSecret(b.inventory.Entries[i].Source)
	return err == nil && isText(body)
}
