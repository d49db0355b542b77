package repository

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Version is what a tool or a system called itself.
type Version struct{ Name, Version string }

// Python is a path by which agents name an interpreter. Paths of one interpreter have the same number. Own: on a new
// machine packages cannot go into that interpreter, so it gets an environment of its own.
type Python struct {
	Number        int
	Own           bool
	Version, Path string
}

// Environment is a Python environment that is in no component and has to be made again. Path is relative to the root,
// Home the folder of the Python it was made with; Version and Home may be empty.
type Environment struct {
	Path          Name
	Version, Home string
}

// toolName is a name in a version line.
var toolName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

func (x *RestoreIndex) writeTools(line func(fields ...string)) {
	for _, v := range x.Versions {
		line("version", v.Name, EncodeLine(v.Version))
	}
	for _, p := range x.Pythons {
		own := "0"
		if p.Own {
			own = "1"
		}
		line("python", strconv.Itoa(p.Number), own, EncodeLine(p.Version), EncodeLine(p.Path))
	}
	for _, e := range x.Environments {
		line("venv", EncodeLine(string(e.Path)), EncodeLine(e.Version), EncodeLine(e.Home))
	}
}

// tool reads a line of one of the three kinds. That the numbers of fields and spellings are right is seen elsewhere.
func (p *indexParser) tool(f []string) error {
	last := f[len(f)-1]
	text, err := DecodeLine(last)
	x := p.x
	switch f[0] {
	case "version":
		if !toolName.MatchString(f[1]) {
			err = errors.Join(err, fmt.Errorf("version of %.40q", f[1]))
		}
		x.Versions = append(x.Versions, Version{f[1], text})
	case "python":
		n, nerr := parseCanonical(f[1])
		version, verr := DecodeLine(f[3])
		if nerr == nil && n > 999 {
			nerr = fmt.Errorf("python %d", n)
		}
		err = errors.Join(err, nerr, verr)
		x.Pythons = append(x.Pythons, Python{Number: int(n), Own: f[2] == "1", Version: version, Path: text})
	case "venv":
		path, perr := DecodeLine(f[1])
		version, verr := DecodeLine(f[2])
		err = errors.Join(err, perr, verr, ValidatePath(path))
		x.Environments = append(x.Environments, Environment{Name(path), version, text})
	}
	return err
}
