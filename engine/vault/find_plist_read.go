package vault

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"howett.net/plist"
)

// Limits of a property list. The parsers below recurse, so depth is bounded before they see anything; a binary list
// may refer to one object many times, so what it unfolds to is bounded too.
const (
	MaxPlist      = 1 << 20 // bytes
	maxPlistDepth = 128
	maxPlistNodes = 1 << 17
)

// propertyList is a property list that was read.
type propertyList struct {
	top    map[string]any
	format int    // plist.XMLFormat or plist.BinaryFormat
	raw    string // of XML: comments and keys that stand twice can be read there
}

// ReadPlist decodes a property list whose top is a dictionary. Only XML and binary ones count: the older text form
// accepts nearly anything, an empty file too. What is none, or is beyond MaxPlist, is ErrUnreadable.
func ReadPlist(b []byte) (top map[string]any, err error) {
	l, err := readPlist(b)
	if err != nil {
		return nil, err
	}
	return l.top, nil
}

// CheckPlist is ReadPlist for whoever only wants to know whether it can be read, and for a list with anything at its top.
func CheckPlist(b []byte) error {
	_, _, err := parsePlist(b)
	return err
}

func readPlist(b []byte) (*propertyList, error) {
	top, l, err := parsePlist(b)
	if err != nil {
		return nil, err
	}
	var ok bool
	if l.top, ok = top.(map[string]any); !ok || l.top == nil {
		return nil, fmt.Errorf("%w: no dictionary at its top", ErrUnreadable)
	}
	return l, nil
}

// parsePlist returns what is at the top of a property list, and the list without it.
func parsePlist(b []byte) (top any, l *propertyList, err error) {
	fail := func(why error) (any, *propertyList, error) { return nil, nil, fmt.Errorf("%w: %v", ErrUnreadable, why) }
	if len(b) > MaxPlist {
		return fail(fmt.Errorf("more than %d bytes", MaxPlist))
	}
	format := plist.BinaryFormat
	switch text := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n"); {
	case bytes.HasPrefix(b, []byte("bplist0")):
		err = checkBinaryPlist(b)
	case bytes.HasPrefix(text, []byte("<?xml")), bytes.HasPrefix(text, []byte("<!DOCTYPE")), bytes.HasPrefix(text, []byte("<plist")):
		format, b = plist.XMLFormat, text
		err = checkXMLPlist(b)
	default:
		err = errors.New("neither XML nor binary")
	}
	if err != nil {
		return fail(err)
	}
	defer func() {
		// The library indexes into its input unchecked in places. What it says may hold pieces of the input.
		if r := recover(); r != nil {
			top, l, err = fail(errors.New("the parser gave up"))
		}
	}()
	got, err := plist.Unmarshal(b, &top)
	if err != nil || got != format {
		return fail(errors.New("no property list in this form"))
	}
	l = &propertyList{format: format}
	if format == plist.XMLFormat {
		l.raw = string(b)
	}
	return top, l, nil
}

func checkXMLPlist(b []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(b))
	depth := 0
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("bad XML") // the error may hold pieces of the input
		}
		switch tok.(type) {
		case xml.StartElement:
			if depth++; depth > maxPlistDepth {
				return errors.New("nested too deep")
			}
		case xml.EndElement:
			depth--
		}
	}
}

// checkBinaryPlist unfolds a binary property list's containers and looks at nothing else: the library checks the rest.
func checkBinaryPlist(b []byte) error {
	const header, trailer = 8, 32
	if len(b) < header+trailer {
		return errors.New("too short")
	}
	t := b[len(b)-trailer:]
	c := binaryPlist{
		b: b[:len(b)-trailer], offsetSize: int(t[6]), refSize: int(t[7]),
		objects: binary.BigEndian.Uint64(t[8:]), table: binary.BigEndian.Uint64(t[24:]),
	}
	if c.offsetSize < 1 || c.offsetSize > 8 || c.refSize < 1 || c.refSize > 8 || c.objects > uint64(len(b)) || c.table > uint64(len(b)) {
		return errors.New("bad trailer")
	}
	c.unfolded = make(map[uint64]int)
	_, err := c.unfold(binary.BigEndian.Uint64(t[16:]), 0)
	return err
}

type binaryPlist struct {
	b                   []byte
	offsetSize, refSize int
	objects, table      uint64
	unfolded            map[uint64]int // nodes below an object; -1 while it is being unfolded
}

func (c *binaryPlist) number(at uint64, size int) (uint64, error) {
	if at > uint64(len(c.b)) || uint64(size) > uint64(len(c.b))-at {
		return 0, errors.New("a number beyond the end")
	}
	var n uint64
	for _, x := range c.b[at : at+uint64(size)] {
		n = n<<8 | uint64(x)
	}
	return n, nil
}

// unfold returns how many nodes an object is, with all it refers to.
func (c *binaryPlist) unfold(object uint64, depth int) (int, error) {
	switch n := c.unfolded[object]; {
	case n < 0:
		return 0, errors.New("an object contains itself")
	case n > 0:
		return n, nil
	case depth > maxPlistDepth:
		return 0, errors.New("nested too deep")
	case object >= c.objects:
		return 0, errors.New("no such object")
	}
	at, err := c.number(c.table+object*uint64(c.offsetSize), c.offsetSize)
	if err != nil {
		return 0, err
	}
	refs, at, err := c.references(at)
	if err != nil {
		return 0, err
	}
	c.unfolded[object] = -1
	total := 1
	for i := range refs {
		ref, err := c.number(at+i*uint64(c.refSize), c.refSize)
		if err != nil {
			return 0, err
		}
		n, err := c.unfold(ref, depth+1)
		if err != nil {
			return 0, err
		}
		if total += n; total > maxPlistNodes {
			return 0, errors.New("too many objects")
		}
	}
	c.unfolded[object] = total
	return total, nil
}

// references returns how many objects the one at an offset refers to, and where the references begin.
func (c *binaryPlist) references(at uint64) (count, first uint64, err error) {
	tag, err := c.number(at, 1)
	if err != nil {
		return 0, 0, err
	}
	count, first = tag&0xf, at+1
	kind := tag >> 4
	if kind != 0xa && kind != 0xd {
		return 0, first, nil
	}
	if count == 0xf {
		size, err := c.number(first, 1)
		if err != nil {
			return 0, 0, err
		}
		n := 1 << (size & 0xf)
		if n > 8 {
			return 0, 0, errors.New("a count beyond reason")
		}
		if count, err = c.number(first+1, n); err != nil {
			return 0, 0, err
		}
		first += 1 + uint64(n)
	}
	if count > uint64(len(c.b)) {
		return 0, 0, errors.New("a count beyond reason")
	}
	if kind == 0xd {
		count *= 2
	}
	return count, first, nil
}
