package resources

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The repository of these tests is written by hand from the specification: the engine's own writer could share a
// mistake with the script's author, this one cannot.

// item is one thing in a backup.
type item struct {
	component string
	kind      byte // f q d l b, as in the index
	path      string
	mode      int64
	mtime     time.Time
	body      []byte
	link      string
}

// builder writes one backup into a repository.
type builder struct {
	dir, id string
	created time.Time
	root    string
	home    string
	prefix  string // of Homebrew
	// git are the lines about the root's git repository.
	git   []string
	items []item
	// chunkBytes is the raw size of a chunk.
	chunkBytes int
	// extent is the average length of an extent.
	extent int
	// editTar may change the tar of a component before it is stored.
	editTar func(component string, tar []byte) []byte
	// editIndex may change the lines of the index, without the last one.
	editIndex func(lines []string) []string
	// vault is what is sealed, if anything; see vault_builder_test.go.
	vault *vault
	seed  uint64

	chunks [][]byte // raw
	lines  []string
	// parts says where an item's bytes are in its stream; streams are the extents of each.
	parts   map[string][2]int
	streams map[string][]extent
	// names are those of the chunks' files.
	names []string
}

const backupID = "full_20251013_030000"

func newBuilder(dir string, items []item) *builder {
	return &builder{
		dir: dir, id: backupID, created: time.Now().Add(-3 * time.Hour), root: "/Users/someone/git/maia", home: "/Users/someone",
		items: items, chunkBytes: 60_000, extent: 3_000, seed: 1,
		parts: map[string][2]int{}, streams: map[string][]extent{},
	}
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// encode writes a string as the index does.
func encode(s string) string {
	if s == "" {
		return "-"
	}
	if s == "-" {
		return `\0055`
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > 32 && c < 127 && c != '\\' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\0%03o`, c)
		}
	}
	return b.String()
}

func seconds(t time.Time) string {
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

func (b *builder) tar(t testing.TB, component string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, it := range b.items {
		if it.component != component || it.kind == 'b' {
			continue
		}
		h := &tar.Header{Name: it.path, Mode: it.mode, ModTime: it.mtime, Format: tar.FormatPAX}
		switch it.kind {
		case 'd':
			h.Typeflag = tar.TypeDir
			h.Name += "/"
		case 'l':
			h.Typeflag, h.Linkname = tar.TypeSymlink, it.link
		default:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(it.body))
		}
		if !utf8.ValidString(h.Name) || !utf8.ValidString(h.Linkname) {
			h.PAXRecords = map[string]string{"hdrcharset": "BINARY"}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		start := out.Len()
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("tar header of %q: %v", it.path, err)
		}
		if _, err := w.Write(it.body); err != nil {
			t.Fatal(err)
		}
		b.parts[it.path] = [2]int{start, out.Len()}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b.editTar != nil {
		return b.editTar(component, out.Bytes())
	}
	return out.Bytes()
}

func zip(t testing.TB, raw []byte, members int) []byte {
	t.Helper()
	var out bytes.Buffer
	for i := range members {
		w := gzip.NewWriter(&out)
		if _, err := w.Write(raw[len(raw)*i/members : len(raw)*(i+1)/members]); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func write(t testing.TB, path string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

type extent struct{ chunk, offset, length int }

// scatter stores a stream in pieces that lie in no order, and returns its extents in the stream's order.
func (b *builder) scatter(rng *rand.Rand, body []byte) []extent {
	var pieces []extent // offset is in the stream
	for at := 0; at < len(body); {
		n := min(1+rng.IntN(2*b.extent), len(body)-at)
		pieces = append(pieces, extent{offset: at, length: n})
		at += n
	}
	out := make([]extent, len(pieces))
	for _, i := range rng.Perm(len(pieces)) {
		p := pieces[i]
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last])+p.length > b.chunkBytes {
			b.chunks = append(b.chunks, nil)
			last++
		}
		out[i] = extent{chunk: last, offset: len(b.chunks[last]), length: p.length}
		b.chunks[last] = append(b.chunks[last], body[p.offset:p.offset+p.length]...)
	}
	return out
}

// write makes the backup.
func (b *builder) write(t testing.TB) *builder {
	t.Helper()
	rng := rand.New(rand.NewPCG(b.seed, 2))
	var streams []string
	addStream := func(head string, extents []extent) {
		streams = append(streams, head)
		for _, e := range extents {
			streams = append(streams, fmt.Sprintf("x %d %d %d", e.chunk, e.offset, e.length))
		}
	}
	has := map[string]bool{}
	for _, it := range b.items {
		has[it.component] = true
	}
	number := 0
	for _, component := range []string{"maia_code", "maia_data_small"} {
		if has[component] {
			body := b.tar(t, component)
			extents := b.scatter(rng, body)
			b.streams[component] = extents
			addStream(fmt.Sprintf("stream %d tar %s %d %d", number, component, len(body), len(extents)), extents)
			number++
		}
	}
	for _, it := range b.items {
		if it.kind == 'b' {
			extents := b.scatter(rng, it.body)
			b.streams[it.path], b.parts[it.path] = extents, [2]int{0, len(it.body)}
			addStream(fmt.Sprintf("stream %d db %s %d %d %s %o %d %s", number, it.component, len(it.body), len(extents),
				hashOf(it.body), it.mode, it.mtime.Unix(), encode(it.path)), extents)
			number++
		}
	}
	files := map[string][]byte{
		"backup_manifest.json": []byte(`{"format":1,"status":"completed"}`), "files.jsonl.gz": zip(t, []byte("{}\n"), 1),
		"restore_maia.sh": RestoreScript,
	}
	for _, it := range b.items {
		if it.component == "dependencies" || it.component == "system_metadata" {
			files[it.path] = it.body
		}
	}
	for _, component := range []string{"launchagents", "shell_configs"} {
		if has[component] {
			files[component+".tar.gz"] = zip(t, b.tar(t, component), 1)
		}
	}
	b.lines = []string{
		"maia-restore-index 1", "backup " + b.id,
		fmt.Sprintf("created %d %s", b.created.Unix(), b.created.UTC().Format(time.RFC3339)), "program 0.1.0",
		"repository 00112233445566778899aabbccddeeff", "root " + encode(b.root), "home " + encode(b.home), "oldroot " + encode("/old place"),
	}
	if b.prefix != "" {
		b.lines = append(b.lines, "prefix "+encode(b.prefix))
	}
	b.lines = append(b.lines, b.git...)
	if b.vault != nil {
		files["credentials.vault.enc"] = b.vault.seal(t, b.id)
		b.lines = append(b.lines, b.vault.lines()...)
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		write(t, filepath.Join(b.dir, b.id, name), files[name])
		b.lines = append(b.lines, fmt.Sprintf("file %d %s %s", len(files[name]), hashOf(files[name]), name))
	}
	for i, raw := range b.chunks {
		gz := zip(t, raw, 1+i%3)
		write(t, filepath.Join(b.dir, "chunks", hashOf(gz)+".gz"), gz)
		b.names = append(b.names, hashOf(gz)+".gz")
		b.lines = append(b.lines, fmt.Sprintf("chunk %d %d %d %s", i, len(gz), len(raw), hashOf(gz)))
	}
	b.lines = append(b.lines, streams...)
	for _, it := range b.items {
		sum, size := "-", 0
		if it.kind != 'd' && it.kind != 'l' {
			sum, size = hashOf(it.body), len(it.body)
		}
		line := fmt.Sprintf("entry %c %s %o %s %d %s %s", it.kind, it.component, it.mode, seconds(it.mtime), size, sum, encode(it.path))
		if it.kind == 'l' {
			line += " " + encode(it.link)
		}
		b.lines = append(b.lines, line)
	}
	if b.editIndex != nil {
		b.lines = b.editIndex(b.lines)
	}
	b.writeIndex(t, append(b.lines, fmt.Sprintf("end %d", len(b.lines))))
	write(t, filepath.Join(b.dir, "repository.json"), []byte("{}\n"))
	write(t, filepath.Join(b.dir, "restore_maia.sh"), RestoreScript)
	return b
}

func (b *builder) writeIndex(t testing.TB, lines []string) {
	t.Helper()
	index := zip(t, []byte(strings.Join(lines, "\n")+"\n"), 1)
	write(t, filepath.Join(b.dir, b.id, "restore.index.gz"), index)
	if b.vault != nil {
		write(t, filepath.Join(b.dir, b.id, "restore.mac"), b.vault.mac(t, index))
	}
}

// destination is where an item goes, below the target.
func (it item) destination() string {
	switch it.component {
	case "launchagents":
		return "maia-recovered/home/Library/LaunchAgents/" + it.path
	case "shell_configs":
		return "maia-recovered/home/" + it.path
	case "dependencies", "system_metadata":
		return "maia-recovered/packages/" + it.path
	}
	return it.path
}

// uses reports whether an item can be had only with an object of the repository.
func (b *builder) uses(it item, object string) bool {
	switch it.component {
	case "launchagents", "shell_configs":
		return object == b.id+"/"+it.component+".tar.gz"
	case "dependencies", "system_metadata":
		return object == b.id+"/"+it.path
	}
	extents := b.streams[it.component]
	if it.kind == 'b' {
		extents = b.streams[it.path]
	}
	part := b.parts[it.path]
	at := 0
	for _, e := range extents {
		if at < part[1] && at+e.length > part[0] && object == "chunks/"+b.names[e.chunk] {
			return true
		}
		at += e.length
	}
	return false
}
