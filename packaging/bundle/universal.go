package bundle

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// A universal program is a header, big-endian whatever is in it, and thin programs, each at a boundary of its own pages.
const (
	fatHeader = 8
	fatArch   = 20
)

// pageBits are the page sizes of the processors, as powers of two.
var pageBits = map[macho.Cpu]uint32{macho.CpuAmd64: 12, macho.CpuArm64: 14}

// part is a thin program.
type part struct {
	code        []byte
	cpu         macho.Cpu
	sub         uint32
	offset, end int
}

// Universal joins thin Mach-O programs for several processors to one.
func Universal(programs ...[]byte) ([]byte, error) {
	if len(programs) == 0 {
		return nil, errors.New("join programs: there are none")
	}
	parts := make([]part, len(programs))
	for i, code := range programs {
		f, err := macho.NewFile(bytes.NewReader(code))
		if err != nil {
			return nil, fmt.Errorf("join programs: number %d: %w", i+1, err)
		}
		if f.Type != macho.TypeExec {
			return nil, fmt.Errorf("join programs: number %d is a %v, no program", i+1, f.Type)
		}
		if pageBits[f.Cpu] == 0 {
			return nil, fmt.Errorf("join programs: number %d is for %v", i+1, f.Cpu)
		}
		parts[i] = part{code: code, cpu: f.Cpu, sub: f.SubCpu}
	}
	slices.SortFunc(parts, func(a, b part) int { return int(a.cpu) - int(b.cpu) })
	at := fatHeader + fatArch*len(parts)
	for i := range parts {
		p := &parts[i]
		if i > 0 && p.cpu == parts[i-1].cpu {
			return nil, fmt.Errorf("join programs: two are for %v", p.cpu)
		}
		page := 1 << pageBits[p.cpu]
		p.offset = (at + page - 1) / page * page
		p.end = p.offset + len(p.code)
		at = p.end
	}
	if at > math.MaxUint32 {
		return nil, errors.New("join programs: they are too large")
	}
	out := make([]byte, at)
	binary.BigEndian.PutUint32(out, macho.MagicFat)
	binary.BigEndian.PutUint32(out[4:], uint32(len(parts)))
	for i, p := range parts {
		h := out[fatHeader+i*fatArch:]
		for j, v := range []uint32{uint32(p.cpu), p.sub, uint32(p.offset), uint32(len(p.code)), pageBits[p.cpu]} {
			binary.BigEndian.PutUint32(h[4*j:], v)
		}
		copy(out[p.offset:], p.code)
	}
	return out, nil
}
