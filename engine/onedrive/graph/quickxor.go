package graph

import (
	"encoding/base64"
	"encoding/binary"
	"io"
)

// quickXor is Microsoft's quickXorHash: a circular register of 160 bits into which each byte is XORed 11 bits further than
// the one before; at the end the length is XORed into its last 64 bits. It finds accidents, not malice, and does not see
// blocks of 320 KiB change places: hence the samples that are downloaded and hashed properly. See "QuickXorHash Algorithm"
// in Microsoft's documentation of OneDrive.
type quickXor struct {
	register [20]byte
	length   uint64
}

const (
	quickXorBits  = 160
	quickXorShift = 11
)

// Write takes in p; it never fails.
func (q *quickXor) Write(p []byte) (int, error) {
	at := int(q.length % quickXorBits * quickXorShift % quickXorBits)
	for _, b := range p {
		i, bit := at/8, at%8
		q.register[i] ^= b << bit
		// What is shifted out goes on in the next byte, around the end.
		if i++; i == len(q.register) {
			i = 0
		}
		q.register[i] ^= byte(uint16(b) << bit >> 8)
		if at += quickXorShift; at >= quickXorBits {
			at -= quickXorBits
		}
	}
	q.length += uint64(len(p))
	return len(p), nil
}

// sum returns the hash in base64, as Microsoft Graph has it.
func (q *quickXor) sum() string {
	out := q.register
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], q.length)
	for i, b := range length {
		out[len(out)-len(length)+i] ^= b
	}
	return base64.StdEncoding.EncodeToString(out[:])
}

// QuickXorHash returns the quickXorHash of what r has, in base64, and how many bytes that was.
func QuickXorHash(r io.Reader) (sum string, n int64, err error) {
	q := new(quickXor)
	n, err = io.CopyBuffer(q, struct{ io.Reader }{r}, make([]byte, 256<<10))
	return q.sum(), n, err
}
