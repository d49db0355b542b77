package inflate

import (
	"math/bits"
	"sync"
)

// An entry of a decoding table is a uint32. Of all kinds of entries the bits 0 to 5 say how many bits of input they use
// up, extra bits included.
//
//	literal       bits 8-9: how many, 1 or 2; bits 16-23 and 24-31: the bytes
//	length        bits 8-11: of the bits, how many are the code; bits 16-31: the least length
//	distance      the same
//	flagSub       bits 8-11: how many bits choose in the subtable; bits 16-31: where it begins
//	flagEnd       end of the block
//	else invalid  flagOther alone
//
// Behind a subtable's pointer the bits of the pointer itself are used up already.
const (
	flagLiteral = 1 << 15
	flagOther   = 1 << 14 // neither literal nor length nor distance
	flagSub     = 1 << 13
	flagEnd     = 1 << 12
	bitsMask    = 63
	baseShift   = 16
	codeShift   = 8
	codeMask    = 15
)

// Bits that the first look into a table takes, and how large tables are with all their subtables. zlib's enough.c says
// at most 2342 entries for 288 symbols in 11 bits, and 594 for 32 in 9; the sizes are powers of two, so that a mask
// shows the compiler that no index is outside.
const (
	maxBits    = 15 // of a code
	litBits    = 11
	litSize    = 1 << 12
	distBits   = 9
	distSize   = 1 << 10
	lengthBits = 7 // of a code of code lengths; none is longer
	lengthSize = 1 << lengthBits

	numLit    = 286 // symbols that may be used
	numDist   = 30
	maxLit    = 288 // symbols of the fixed code
	maxDist   = 32
	endSymbol = 256
)

// tables decode the symbols of a block.
type tables struct {
	lit  [litSize]uint32
	dist [distSize]uint32
}

// Entries by symbol, without their number of bits.
var (
	litEntries    = makeLitEntries()
	distEntries   = makeDistEntries()
	lengthEntries = makeLengthEntries()
)

func makeLitEntries() (out [maxLit]uint32) {
	for i := range out {
		out[i] = flagOther
	}
	for i := range endSymbol {
		out[i] = flagLiteral | 1<<codeShift | uint32(i)<<baseShift
	}
	out[endSymbol] = flagOther | flagEnd
	base := uint32(3)
	for i := range uint32(28) {
		extra := uint32(0)
		if i >= 8 {
			extra = i/4 - 1
		}
		out[endSymbol+1+i] = base<<baseShift | extra
		base += 1 << extra
	}
	out[numLit-1] = 258 << baseShift
	return out
}

func makeDistEntries() (out [maxDist]uint32) {
	out[30], out[31] = flagOther, flagOther
	base := uint32(1)
	for i := range uint32(numDist) {
		extra := uint32(0)
		if i >= 4 {
			extra = i/2 - 1
		}
		out[i] = base<<baseShift | extra
		base += 1 << extra
	}
	return out
}

func makeLengthEntries() (out [19]uint32) {
	for i := range out {
		out[i] = uint32(i) << baseShift
	}
	return out
}

// fixed returns the tables of the code that RFC 1951 fixes.
var fixed = sync.OnceValue(func() *tables {
	var lens [maxLit]uint8
	for i := range lens {
		switch {
		case i < 144, i >= 280:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		default:
			lens[i] = 7
		}
	}
	t := new(tables)
	build(t.lit[:], litBits, lens[:], litEntries[:])
	pair(&t.lit)
	var five [maxDist]uint8
	for i := range five {
		five[i] = 5
	}
	build(t.dist[:], distBits, five[:], distEntries[:])
	return t
})

// build fills a table for the code in which symbol i has lens[i] bits, 0 for none. It reports whether the code is one:
// neither over-subscribed nor incomplete. As in zlib, one code of one bit is allowed alone, and none at all; what has
// no symbol is then an invalid entry.
func build(table []uint32, tableBits int, lens []uint8, entries []uint32) bool {
	var count [maxBits + 1]int
	for _, n := range lens {
		count[n&codeMask]++
	}
	used := len(lens) - count[0]
	if used <= 1 {
		return buildTiny(table, tableBits, lens, entries, used, count[1])
	}
	var next [maxBits + 2]int // where the symbols of a length begin among those sorted
	left := 1
	for n := 1; n <= maxBits; n++ {
		next[n+1] = next[n] + count[n]
		if left = left<<1 - count[n]; left < 0 {
			return false
		}
	}
	if left != 0 {
		return false
	}
	var sorted [maxLit]uint16
	for i, n := range lens {
		if n != 0 {
			sorted[next[n]] = uint16(i)
			next[n]++
		}
	}
	fill(table, tableBits, sorted[:used], &count, entries)
	return true
}

// buildTiny fills the table of a code with no symbol or one.
func buildTiny(table []uint32, tableBits int, lens []uint8, entries []uint32, used, ofOne int) bool {
	if used != ofOne {
		return false
	}
	table = table[:1<<tableBits]
	for i := range table {
		table[i] = flagOther
	}
	for i, n := range lens {
		if n != 0 {
			e := withCode(entries[i], 1)
			for j := 0; j < len(table); j += 2 {
				table[j] = e
			}
		}
	}
	return true
}

// withCode is an entry whose symbol has a code of n bits.
func withCode(e uint32, n int) uint32 {
	if e&(flagLiteral|flagOther) == 0 {
		e += uint32(n) << codeShift
	}
	return e + uint32(n)
}

// fill writes the entries of a complete code. Codes are counted up in the order of the sorted symbols, with their bits
// reversed because that is how they come out of the input. The table is made for the shortest length first and doubled
// for each longer one.
func fill(table []uint32, tableBits int, sorted []uint16, count *[maxBits + 1]int, entries []uint32) {
	code, size, n := 0, 1, 0
	for n < tableBits {
		n++
		copy(table[size:2*size], table[:size])
		size *= 2
		for range count[n] {
			table[code] = withCode(entries[sorted[0]], n)
			sorted = sorted[1:]
			if len(sorted) == 0 {
				for ; size < 1<<tableBits; size *= 2 {
					copy(table[size:2*size], table[:size])
				}
				return
			}
			code = following(code, n)
		}
	}
	// What is left has longer codes: those with the same first bits share a subtable.
	prefix, start := -1, 0
	left := *count
	for n = tableBits + 1; ; {
		for left[n] == 0 {
			n++
		}
		if p := code & (1<<tableBits - 1); p != prefix {
			prefix, start = p, size
			sub := n - tableBits
			for used := left[n]; used < 1<<sub; {
				sub++
				used = used<<1 + left[tableBits+sub]
			}
			size += 1 << sub
			table[prefix] = uint32(start)<<baseShift | uint32(sub)<<codeShift | flagOther | flagSub | uint32(tableBits)
		}
		e := withCode(entries[sorted[0]], n-tableBits)
		for i := start + code>>tableBits; i < size; i += 1 << (n - tableBits) {
			table[i] = e
		}
		if sorted = sorted[1:]; len(sorted) == 0 {
			return
		}
		code = following(code, n)
		left[n]--
	}
}

// following returns the code behind a reversed code of n bits that is not the last one.
func following(code, n int) int {
	bit := 1 << (bits.Len(uint(code^(1<<n-1))) - 1)
	return code&(bit-1) | bit
}

// pair puts two literals into an entry where both their codes fit the first look. From the end, so that what it looks
// up is not paired yet.
func pair(table *[litSize]uint32) {
	for i := 1<<litBits - 1; i >= 0; i-- {
		e := table[i]
		if e&flagLiteral == 0 {
			continue
		}
		f := table[i>>(e&bitsMask)]
		if n := (e + f) & bitsMask; f&flagLiteral != 0 && n <= litBits {
			table[i] = flagLiteral | 2<<codeShift | n | e&(0xff<<baseShift) | f>>baseShift&0xff<<24
		}
	}
}
