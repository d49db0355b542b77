package repository

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

var typeLetters = map[string]string{
	TypeFile: "f", TypeDatabase: "q", TypeDir: "d", TypeSymlink: "l", TypeLarge: "b",
}

// IndexLine returns the file as an "entry" line of a restore index or a vault's index, without the line feed. Offset is
// not in it.
func (f *File) IndexLine() string {
	sum := "-"
	if f.SHA256 != nil {
		sum = f.SHA256.String()
	}
	fields := []string{"entry", typeLetters[f.Type], f.Component, strconv.FormatUint(uint64(f.Mode), 8),
		formatSeconds(f.ModTimeNS), strconv.FormatInt(f.SizeBytes, 10), sum, EncodeLine(string(f.Path))}
	if f.Type == TypeSymlink {
		fields = append(fields, EncodeLine(string(f.Link)))
	}
	return strings.Join(fields, " ")
}

// ParseIndexLine reverses IndexLine and accepts nothing that IndexLine does not write of a valid file: a path that it
// returns passes ValidatePath. Every error is ErrDamaged.
func ParseIndexLine(line string) (File, error) {
	fields := strings.Split(line, " ")
	if n := fieldCounts["entry"]; fields[0] != "entry" || len(fields) < n[0] || len(fields) > n[1] {
		return File{}, fmt.Errorf("line %.60q: %w", line, ErrDamaged)
	}
	f, err := parseEntry(fields)
	if err == nil && f.IndexLine() != line {
		err = errors.New("not in its one spelling")
	}
	if err != nil {
		return File{}, fmt.Errorf("line %.60q: %v: %w", line, err, ErrDamaged)
	}
	return f, nil
}

// parseEntry reads the fields of an entry line, of which there are as many as fieldCounts says. It lets spellings pass
// that IndexLine does not write.
func parseEntry(f []string) (File, error) {
	var file File
	for name, letter := range typeLetters {
		if letter == f[1] {
			file.Type = name
		}
	}
	mode, err1 := strconv.ParseUint(f[3], 8, 12)
	ns, err2 := parseSeconds(f[4])
	size, err3 := parseCanonical(f[5])
	path, err4 := DecodeLine(f[7])
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return File{}, err
	}
	file.Component, file.Mode, file.ModTimeNS, file.SizeBytes, file.Path = f[2], uint32(mode), ns, size, Name(path)
	if f[6] != "-" {
		sum, err := ParseHash(f[6])
		if err != nil {
			return File{}, err
		}
		file.SHA256 = &sum
	}
	if len(f) == 9 {
		link, err := DecodeLine(f[8])
		if err != nil {
			return File{}, err
		}
		file.Link = Name(link)
	}
	return file, file.validate()
}

// formatSeconds writes nanoseconds since 1970 as seconds with nine decimals, rounded to no other value: -0.5 s is
// "-1.500000000", the whole second before it and the fraction after that, as in timespec.
func formatSeconds(ns int64) string {
	sec, frac := ns/1e9, ns%1e9
	if frac < 0 {
		sec, frac = sec-1, frac+1e9
	}
	return fmt.Sprintf("%d.%09d", sec, frac)
}

func parseSeconds(s string) (int64, error) {
	a, b, ok := strings.Cut(s, ".")
	sec, err1 := strconv.ParseInt(a, 10, 64)
	frac, err2 := strconv.ParseInt(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || len(b) != 9 || frac < 0 || sec > math.MaxInt64/1_000_000_000 || sec < math.MinInt64/1_000_000_000-1 {
		return 0, fmt.Errorf("time %.40q: %w", s, ErrDamaged)
	}
	return sec*1e9 + frac, nil
}
