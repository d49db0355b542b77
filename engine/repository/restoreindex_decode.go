package repository

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// DecodeRestoreIndex reads restore.index.gz. It accepts only what Encode writes.
func DecodeRestoreIndex(b []byte) (*RestoreIndex, error) {
	raw, err := DecodeRestoreIndexLines(b)
	if err != nil {
		return nil, fmt.Errorf("read restore index: %w", err)
	}
	return parseIndexLines(raw)
}

// parseIndexLines reads the uncompressed lines of a restore index.
func parseIndexLines(raw []byte) (*RestoreIndex, error) {
	p := new(indexParser)
	if err := p.read(raw); err != nil {
		return nil, err
	}
	if !p.x.HasLines(raw) {
		return nil, fmt.Errorf("read restore index: not in its one spelling: %w", ErrDamaged)
	}
	return p.x, nil
}

// ScanRestoreIndex is DecodeRestoreIndex for whoever compares the lines with those of another index, by HasLines: it returns
// them too, and does not ask whether they are in their one spelling.
func ScanRestoreIndex(b []byte) (*RestoreIndex, []byte, error) {
	raw, err := DecodeRestoreIndexLines(b)
	if err != nil {
		return nil, nil, fmt.Errorf("read restore index: %w", err)
	}
	p := new(indexParser)
	if err := p.read(raw); err != nil {
		return nil, nil, err
	}
	return p.x, raw, nil
}

// DecodeRestoreIndexLines returns the uncompressed lines of a restore index.
func DecodeRestoreIndexLines(b []byte) ([]byte, error) {
	if len(b) > maxIndexFile {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrDamaged)
	}
	return decompress(b, min(maxIndexBytes, maxList(len(b))))
}

type indexParser struct {
	x    *RestoreIndex
	rest string
	line int
	want int // extents still expected of the last stream
	done bool
}

func (p *indexParser) read(raw []byte) error {
	p.x, p.rest = new(RestoreIndex), string(raw)
	if err := p.parse(); err != nil {
		return fmt.Errorf("read restore index, line %d: %w", p.line, err)
	}
	return nil
}

func (p *indexParser) parse() error {
	for p.rest != "" {
		text, rest, ok := strings.Cut(p.rest, "\n")
		if !ok || p.done {
			return fmt.Errorf("no end: %w", ErrDamaged)
		}
		p.rest = rest
		p.line++
		// Most lines are extents.
		if e, ok := strings.CutPrefix(text, "x "); ok && p.line > 1 {
			if err := p.extent(e); err != nil {
				return fmt.Errorf("%v: %w", err, ErrDamaged)
			}
			continue
		}
		f := strings.SplitN(text, " ", maxFields+1)
		if p.line == 1 {
			if text != indexMagic {
				if strings.HasPrefix(text, "maia-restore-index ") {
					return ErrNewerFormat
				}
				return fmt.Errorf("not a restore index: %w", ErrDamaged)
			}
			continue
		}
		if p.want > 0 {
			return fmt.Errorf("extents missing: %w", ErrDamaged)
		}
		if err := p.field(f); err != nil {
			if errors.Is(err, ErrDamaged) {
				return err
			}
			return fmt.Errorf("%v: %w", err, ErrDamaged)
		}
	}
	if !p.done {
		return fmt.Errorf("no end: %w", ErrDamaged)
	}
	return nil
}

// fieldCounts is how many fields a line of each kind has, its name included; a second number is the most.
var fieldCounts = map[string][2]int{
	"backup": {2, 2}, "created": {3, 3}, "program": {2, 2}, "repository": {2, 2}, "root": {2, 2}, "home": {2, 2},
	"oldroot": {2, 2}, "prefix": {2, 2}, "git": {4, 8}, "version": {3, 3}, "python": {5, 5}, "venv": {4, 4}, "password": {2, 2}, "secret": {4, 4}, "file": {4, 4}, "chunk": {5, 5}, "stream": {6, 10}, "entry": {8, 9}, "end": {2, 2},
}

// maxFields is the largest of fieldCounts.
const maxFields = 10

func (p *indexParser) field(f []string) error {
	n, ok := fieldCounts[f[0]]
	if !ok || len(f) < n[0] || len(f) > n[1] {
		return fmt.Errorf("line %.60q", strings.Join(f, " "))
	}
	x := p.x
	var err error
	switch f[0] {
	case "backup":
		x.BackupID = f[1]
		if !IsID(f[1]) {
			return fmt.Errorf("backup %.60q", f[1])
		}
	case "created":
		x.CreatedAt, err = time.Parse(time.RFC3339, f[2])
	case "program":
		x.Program, err = DecodeLine(f[1])
	case "repository":
		x.RepositoryID, err = DecodeLine(f[1])
	case "root":
		x.Root, err = DecodeLine(f[1])
	case "home":
		x.Home, err = DecodeLine(f[1])
	case "oldroot":
		var s string
		s, err = DecodeLine(f[1])
		x.OldRoots = append(x.OldRoots, s)
	case "prefix":
		x.Prefix, err = DecodeLine(f[1])
	case "git":
		err = p.git(f)
	case "version", "python", "venv":
		err = p.tool(f)
	case "password":
		err = p.password(f)
	case "secret":
		err = p.secret(f)
	case "file":
		err = p.file(f)
	case "chunk":
		err = p.chunk(f)
	case "stream":
		err = p.stream(f)
	case "entry":
		err = p.entry(f)
	case "end":
		p.done = true
		if f[1] != strconv.Itoa(p.line-1) {
			err = errors.New("lines are missing")
		}
	}
	return err
}

func (p *indexParser) password(f []string) error {
	n, err := parseCanonical(f[1])
	if err != nil || n < 1 || n > math.MaxInt32 {
		return fmt.Errorf("password %.40q", f[1])
	}
	p.x.Password = int(n)
	return nil
}

func (p *indexParser) secret(f []string) error {
	path, err := DecodeLine(f[3])
	if err := errors.Join(err, ValidatePath(path)); err != nil {
		return err
	}
	s := IndexSecret{Component: f[2], Path: Name(path), Captured: f[1] == "1"}
	if n := len(p.x.Secrets); !validComponent(f[2]) || n > 0 && compareSecrets(p.x.Secrets[n-1], s) >= 0 {
		return fmt.Errorf("secret of %.40q", f[2])
	}
	p.x.Secrets = append(p.x.Secrets, s)
	return nil
}

func (p *indexParser) file(f []string) error {
	size, err1 := parseCanonical(f[1])
	sum, err2 := ParseHash(f[2])
	name, err3 := DecodeLine(f[3])
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if !validFileName(name) {
		return fmt.Errorf("file %.60q", name)
	}
	p.x.Files = append(p.x.Files, FileRef{Path: name, SizeBytes: size, SHA256: sum})
	return nil
}

func (p *indexParser) chunk(f []string) error {
	n, err1 := parseCanonical(f[1])
	size, err2 := parseCanonical(f[2])
	raw, err3 := parseCanonical(f[3])
	sum, err4 := ParseHash(f[4])
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	if n != int64(len(p.x.Chunks)) || raw == 0 || raw > MaxChunkBytes {
		return fmt.Errorf("chunk %d", n)
	}
	p.x.Chunks = append(p.x.Chunks, ChunkRef{SHA256: sum, SizeBytes: size, RawBytes: raw})
	return nil
}

func (p *indexParser) stream(f []string) error {
	k, err1 := parseCanonical(f[1])
	_, err2 := parseCanonical(f[4])
	want, err3 := parseCanonical(f[5])
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if !validComponent(f[3]) || k != int64(len(p.x.Streams)) || want > int64(len(p.rest)) {
		return fmt.Errorf("stream %d", k)
	}
	s := Stream{Component: f[3]}
	switch {
	case f[2] == "tar" && len(f) == 6:
	case f[2] == "db" && len(f) == 10:
		db := new(Database)
		sum, err1 := ParseHash(f[6])
		mode, err2 := strconv.ParseUint(f[7], 8, 12)
		mtime, err3 := strconv.ParseInt(f[8], 10, 64)
		path, err4 := DecodeLine(f[9])
		if err := errors.Join(err1, err2, err3, err4, ValidatePath(path)); err != nil {
			return err
		}
		db.SHA256, db.Mode, db.ModTime, db.Path = sum, uint32(mode), mtime, Name(path)
		s.Database = db
	default:
		return fmt.Errorf("stream of kind %.20q", f[2])
	}
	p.x.Streams = append(p.x.Streams, s)
	p.want = int(want)
	return nil
}

func (p *indexParser) extent(text string) error {
	e, err := parseExtent(text)
	if err != nil {
		return err
	}
	if p.want == 0 || e.Chunk >= len(p.x.Chunks) || e.Offset+e.Length > p.x.Chunks[e.Chunk].RawBytes {
		return errors.New("extent outside its chunk")
	}
	p.want--
	s := &p.x.Streams[len(p.x.Streams)-1]
	s.Extents = append(s.Extents, e)
	return nil
}

func (p *indexParser) entry(f []string) error {
	file, err := parseEntry(f)
	if err != nil {
		return err
	}
	if len(p.x.Entries) == maxEntries {
		return errors.New("too many entries")
	}
	p.x.Entries = append(p.x.Entries, file)
	return nil
}
