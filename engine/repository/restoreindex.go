package repository

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RestoreIndex is everything that a restore without this program needs, as plain lines: restore.index.gz.
// FORMAT.md has its grammar.
type RestoreIndex struct {
	BackupID     string
	CreatedAt    time.Time
	Program      string
	RepositoryID string
	Root, Home   string
	OldRoots     []string
	Prefix       string // of Homebrew; empty: there was none
	// Git is where the root's git repository stood; nil: there was none, or it is not known.
	Git *Git
	// Versions are what the machine had, Pythons what its agents ran, Environments what is to be made again.
	Versions     []Version
	Pythons      []Python
	Environments []Environment
	// Password is the number of the vault's password; 0: there is no vault.
	Password int
	// Secrets are the secret-bearing files, by component and path.
	Secrets []IndexSecret
	Files   []FileRef // every other file of the backup's folder but restore.mac
	Chunks  []ChunkRef
	Streams []Stream
	Entries []File
}

// Origin are the places of the machine that was backed up, apart from the Maia root.
type Origin struct {
	Home     string
	OldRoots []string
	Prefix   string // of Homebrew; empty: there was none
	Git      *Git
	// What there is no place for in another machine's files, but to compare and to make anew.
	Versions     []Version
	Pythons      []Python
	Environments []Environment
}

// IndexSecret names a secret-bearing file; never a value, size or hash.
type IndexSecret struct {
	Component string
	Path      Name
	Captured  bool // it is in the vault; false: it is in no part of the backup
}

func compareSecrets(a, b IndexSecret) int {
	return cmp.Or(strings.Compare(a.Component, b.Component), strings.Compare(string(a.Path), string(b.Path)))
}

const indexMagic = "maia-restore-index 1"

// NewRestoreIndex derives the index of a backup from its manifest, the manifest's bytes and its file list.
func NewRestoreIndex(m *Manifest, manifest []byte, files []File, from Origin) *RestoreIndex {
	x := &RestoreIndex{
		BackupID: m.BackupID, CreatedAt: m.CreatedAt, Program: m.ProgramVersion, RepositoryID: m.RepositoryID,
		Root: string(m.MaiaRoot), Home: from.Home, OldRoots: from.OldRoots, Prefix: from.Prefix, Git: from.Git,
		Versions: from.Versions, Pythons: from.Pythons, Environments: from.Environments,
		Files:  append(slices.Clone(m.Files), FileRef{Path: ManifestName, SizeBytes: int64(len(manifest)), SHA256: SumHash(manifest)}),
		Chunks: m.Chunks, Streams: m.Streams(), Entries: files, Password: m.PasswordNumber,
	}
	for _, s := range m.Coverage.Secrets {
		x.Secrets = append(x.Secrets, IndexSecret{s.Component, s.Path, s.Captured})
	}
	slices.SortFunc(x.Secrets, compareSecrets)
	x.Secrets = slices.CompactFunc(x.Secrets, func(a, b IndexSecret) bool { return compareSecrets(a, b) == 0 })
	return x
}

// Encode returns restore.index.gz. like is that of an earlier backup, or nil: what is the same in both is taken from it, compressed
// as it is.
func (x *RestoreIndex) Encode(like []byte) ([]byte, error) {
	return compressSmall(like, x.writeLines)
}

func (x *RestoreIndex) writeLines(out io.Writer) error {
	w := bufio.NewWriter(out)
	n := 0
	line := func(fields ...string) {
		w.WriteString(strings.Join(fields, " "))
		w.WriteByte('\n')
		n++
	}
	num := func(v int64) string { return strconv.FormatInt(v, 10) }
	line(indexMagic)
	line("backup", x.BackupID)
	line("created", num(x.CreatedAt.Unix()), x.CreatedAt.UTC().Format(time.RFC3339))
	line("program", EncodeLine(x.Program))
	line("repository", EncodeLine(x.RepositoryID))
	line("root", EncodeLine(x.Root))
	line("home", EncodeLine(x.Home))
	for _, r := range x.OldRoots {
		line("oldroot", EncodeLine(r))
	}
	if x.Prefix != "" {
		line("prefix", EncodeLine(x.Prefix))
	}
	if x.Git != nil {
		x.Git.writeLines(line)
	}
	x.writeTools(line)
	if x.Password > 0 {
		line("password", num(int64(x.Password)))
	}
	for _, s := range x.Secrets {
		captured := "0"
		if s.Captured {
			captured = "1"
		}
		line("secret", captured, s.Component, EncodeLine(string(s.Path)))
	}
	for _, f := range x.Files {
		line("file", num(f.SizeBytes), f.SHA256.String(), EncodeLine(f.Path))
	}
	// What stands above differs in every backup.
	if c, ok := out.(cutter); ok {
		_ = w.Flush() // it keeps its error
		c.cut()
	}
	for i, c := range x.Chunks {
		line("chunk", num(int64(i)), num(c.SizeBytes), num(c.RawBytes), c.SHA256.String())
	}
	for k, s := range x.Streams {
		head := []string{"stream", num(int64(k)), "tar", s.Component, num(s.Extents.Size()), num(int64(len(s.Extents)))}
		if db := s.Database; db != nil {
			head[2] = "db"
			head = append(head, db.SHA256.String(), strconv.FormatUint(uint64(db.Mode), 8), num(db.ModTime), EncodeLine(string(db.Path)))
		}
		line(head...)
		// Nearly all lines are of these.
		for _, e := range s.Extents {
			b := append(w.AvailableBuffer(), "x "...)
			b = append(strconv.AppendInt(b, int64(e.Chunk), 10), ' ')
			b = append(strconv.AppendInt(b, e.Offset, 10), ' ')
			w.Write(append(strconv.AppendInt(b, e.Length, 10), '\n'))
			n++
		}
	}
	for i := range x.Entries {
		line(x.Entries[i].IndexLine())
	}
	line("end", num(int64(n)))
	return w.Flush()
}

// Equal reports whether two indexes have the same lines.
func (x *RestoreIndex) Equal(y *RestoreIndex) bool {
	var a bytes.Buffer
	return x.writeLines(&a) == nil && y.HasLines(a.Bytes())
}

// HasLines reports whether these are the index's lines, uncompressed, in their one spelling.
func (x *RestoreIndex) HasLines(lines []byte) bool {
	rest := expected(lines)
	return x.writeLines(&rest) == nil && len(rest) == 0
}

// expected are bytes that are still to be written; other ones are an error.
type expected []byte

func (e *expected) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(*e, p) {
		return 0, ErrDamaged
	}
	*e = (*e)[len(p):]
	return len(p), nil
}
