//! Reads the pickle in a PyTorch file: plain values and tensors' places, nothing else.
//!
//! A pickle is a program, and Python's own reader runs whatever it names. This one knows the few names that a state
//! dict is made of, none of which does anything, and refuses every other name and every opcode that is not needed.
//! Containers live in one list and are meant by number: nothing here is recursive, whatever the file says.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use tch::Kind;

/// A value of a pickle. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    /// Whichever: no tensor's place depends on it.
    Bool,
    Int(i64),
    /// Whichever, likewise.
    Float,
    Text(Rc<str>),
    /// A tuple, list or dictionary: its place in [`Pickle::containers`].
    Container(usize),
    Tensor(Rc<TensorPlace>),
    Storage(Rc<Storage>),
    Name(Name),
}

impl Value {
    /// What it is, in a word or two: the value itself may be as large as the file.
    fn what(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float => "a float",
            Value::Text(_) => "text",
            Value::Container(_) => "a container",
            Value::Tensor(_) => "a tensor",
            Value::Storage(_) => "a storage",
            Value::Name(_) => "a name",
        }
    }
}

/// Where a tensor's numbers are.
#[derive(Clone, Debug)]
pub(super) struct TensorPlace {
    pub(super) storage: Rc<Storage>,
    /// Numbers of the storage before the first.
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

/// A run of numbers that tensors are cut from.
#[derive(Debug)]
pub(super) struct Storage {
    /// Name of the file's part that has them.
    pub(super) key: Rc<str>,
    pub(super) kind: Kind,
    /// How many there are.
    pub(super) count: i64,
}

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    OrderedDict,
    Tensor,
    Parameter,
    Storage(Kind),
}

/// A pickle that was read.
pub(super) struct Pickle {
    /// Tuples and lists by their items, dictionaries by keys and values in turn.
    containers: Vec<Container>,
    /// What it is all about.
    pub(super) root: Value,
}

struct Container {
    kind: ContainerKind,
    items: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ContainerKind {
    Tuple,
    List,
    Dict,
}

/// Bytes of a pickle. A state dict of a thousand tensors has a fifth of a megabyte.
pub(super) const MAX_BYTES: u64 = 16 << 20;
/// Sides of a tensor.
const MAX_SIDES: usize = 8;

impl Pickle {
    /// Reads a whole pickle of protocol 2, which is what `torch.save` writes.
    pub(super) fn read(bytes: &[u8]) -> Result<Pickle> {
        ensure!(bytes.len() as u64 <= MAX_BYTES, "expected a pickle of at most {MAX_BYTES} bytes, got {}", bytes.len());
        let mut machine =
            Machine { bytes, at: 0, stack: vec![], marks: vec![], memo: HashMap::new(), containers: vec![] };
        let root = machine.run()?;
        Ok(Pickle { containers: machine.containers, root })
    }

    /// Keys and values of a dictionary whose keys are text; `None` if it is no dictionary.
    pub(super) fn entries(&self, value: &Value) -> Option<impl Iterator<Item = (&Rc<str>, &Value)>> {
        let Value::Container(place) = value else { return None };
        let container = &self.containers[*place];
        let pairs = container.items.chunks_exact(2).filter_map(|pair| match pair {
            [Value::Text(key), value] => Some((key, value)),
            _ => None,
        });
        (container.kind == ContainerKind::Dict).then_some(pairs)
    }
}

/// Runs a pickle's opcodes.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    containers: Vec<Container>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Value> {
        ensure!(self.take::<2>()? == [0x80, 2], "expected a pickle of protocol 2");
        loop {
            let at = self.at;
            let [opcode] = self.take()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode).with_context(|| format!("byte {at} of the pickle"))?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool),
            b'J' => self.push_int(4)?,
            b'K' => self.push_int(1)?,
            b'M' => self.push_int(2)?,
            0x8a => self.push_long()?,
            b'G' => {
                self.take::<8>()?;
                self.stack.push(Value::Float);
            }
            b'X' => self.push_text()?,
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push_container(ContainerKind::Tuple, vec![]),
            b']' => self.push_container(ContainerKind::List, vec![]),
            b'}' => self.push_container(ContainerKind::Dict, vec![]),
            0x85..=0x87 => {
                let items = self.pop_last(usize::from(opcode - 0x84))?;
                self.push_container(ContainerKind::Tuple, items);
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_container(ContainerKind::Tuple, items);
            }
            b'a' => self.extend(ContainerKind::List, 1)?,
            b's' => self.extend(ContainerKind::Dict, 2)?,
            b'e' => self.extend_to_mark(ContainerKind::List)?,
            b'u' => self.extend_to_mark(ContainerKind::Dict)?,
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => self.push_name()?,
            b'Q' => self.push_storage()?,
            b'R' => self.call()?,
            // attributes of an ordered dictionary: versions of its modules, which are of no use here
            b'b' => {
                self.pop()?;
                self.container(ContainerKind::Dict)?;
            }
            other => bail!("opcode 0x{other:02x} is not one that a state dict needs"),
        }
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take_slice(N)?.try_into().expect("as long as was asked for"))
    }

    fn take_slice(&mut self, length: usize) -> Result<&[u8]> {
        let slice = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let slice = slice.context("the pickle ends too early")?;
        self.at += length;
        Ok(slice)
    }

    /// An unsigned number of one, two or four bytes.
    fn take_number(&mut self, bytes: usize) -> Result<u32> {
        let mut number = [0; 4];
        number[..bytes].copy_from_slice(self.take_slice(bytes)?);
        Ok(u32::from_le_bytes(number))
    }

    fn take_line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(256).position(|&byte| byte == b'\n').context("a name without an end")?;
        let line = self.take_slice(length + 1)?;
        Ok(String::from_utf8_lossy(&line[..length]).into_owned())
    }

    fn push_int(&mut self, bytes: usize) -> Result<()> {
        let number = self.take_number(bytes)?;
        // only the one of four bytes has a sign
        let number = if bytes == 4 { i64::from(number as i32) } else { i64::from(number) };
        self.stack.push(Value::Int(number));
        Ok(())
    }

    fn push_long(&mut self) -> Result<()> {
        let [length] = self.take()?;
        ensure!(length <= 8, "expected numbers of at most 8 bytes, got one of {length}");
        let mut number = [0; 8];
        let digits = self.take_slice(usize::from(length))?;
        let sign = if digits.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
        number.fill(sign);
        number[..digits.len()].copy_from_slice(digits);
        self.stack.push(Value::Int(i64::from_le_bytes(number)));
        Ok(())
    }

    fn push_text(&mut self) -> Result<()> {
        let length = self.take_number(4)? as usize;
        let text = std::str::from_utf8(self.take_slice(length)?).context("text that is not UTF-8")?.into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn push_container(&mut self, kind: ContainerKind, items: Vec<Value>) {
        self.stack.push(Value::Container(self.containers.len()));
        self.containers.push(Container { kind, items });
    }

    fn pop(&mut self) -> Result<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        ensure!(self.stack.len() > floor, "a value is missing");
        Ok(self.stack.pop().expect("just counted"))
    }

    fn pop_last(&mut self, count: usize) -> Result<Vec<Value>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        ensure!(self.stack.len() >= floor + count, "{count} values are wanted, there are fewer");
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().context("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    /// The container on top of the stack, which must be of this kind.
    fn container(&mut self, kind: ContainerKind) -> Result<&mut Container> {
        match self.stack.last() {
            Some(&Value::Container(place)) if self.containers[place].kind == kind => Ok(&mut self.containers[place]),
            other => bail!("expected a {kind:?} to add to, got {}", other.map_or("nothing", Value::what)),
        }
    }

    fn extend(&mut self, kind: ContainerKind, count: usize) -> Result<()> {
        let items = self.pop_last(count)?;
        self.container(kind)?.items.extend(items);
        Ok(())
    }

    fn extend_to_mark(&mut self, kind: ContainerKind) -> Result<()> {
        let items = self.pop_to_mark()?;
        ensure!(kind != ContainerKind::Dict || items.len().is_multiple_of(2), "a key without a value");
        self.container(kind)?.items.extend(items);
        Ok(())
    }

    fn remember(&mut self, bytes: usize) -> Result<()> {
        let number = self.take_number(bytes)?;
        let top = self.stack.last().context("nothing to remember")?.clone();
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<()> {
        let number = self.take_number(bytes)?;
        let value = self.memo.get(&number).with_context(|| format!("value {number} was never remembered"))?.clone();
        self.stack.push(value);
        Ok(())
    }

    fn push_name(&mut self) -> Result<()> {
        let (module, name) = (self.take_line()?, self.take_line()?);
        self.stack.push(Value::Name(known(&module, &name)?));
        Ok(())
    }

    /// `("storage", kind, key, device, count)`.
    fn push_storage(&mut self) -> Result<()> {
        let reference = self.pop()?;
        let items = self.tuple(&reference)?;
        let [Value::Text(word), Value::Name(Name::Storage(kind)), Value::Text(key), _, Value::Int(count)] = items
        else {
            bail!("expected a storage's kind, name and size, got {} values", items.len());
        };
        ensure!(&**word == "storage" && *count >= 0, "expected a storage of 0 or more numbers, got one of {count}");
        self.stack.push(Value::Storage(Rc::new(Storage { key: key.clone(), kind: *kind, count: *count })));
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, name) = (self.pop()?, self.pop()?);
        let Value::Name(name) = name else { bail!("expected a name to call, got {}", name.what()) };
        match (name, self.tuple(&arguments)?) {
            (Name::OrderedDict, []) => self.push_container(ContainerKind::Dict, vec![]),
            (Name::Parameter, [Value::Tensor(tensor), ..]) => self.stack.push(Value::Tensor(tensor.clone())),
            (Name::Tensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                let place = TensorPlace {
                    storage: storage.clone(),
                    offset: *offset,
                    shape: self.sides(shape)?,
                    strides: self.sides(strides)?,
                };
                self.stack.push(Value::Tensor(Rc::new(place)));
            }
            (name, arguments) => bail!("{name:?} of {} other arguments than expected", arguments.len()),
        }
        Ok(())
    }

    fn tuple(&self, value: &Value) -> Result<&[Value]> {
        match value {
            Value::Container(place) if self.containers[*place].kind == ContainerKind::Tuple => {
                Ok(&self.containers[*place].items)
            }
            other => bail!("expected a tuple, got {}", other.what()),
        }
    }

    fn sides(&self, value: &Value) -> Result<Vec<i64>> {
        let items = self.tuple(value)?;
        ensure!(items.len() <= MAX_SIDES, "expected tensors of at most {MAX_SIDES} sides, got one of {}", items.len());
        let side = |item: &Value| match item {
            Value::Int(side) if *side >= 0 => Ok(*side),
            Value::Int(side) => bail!("expected a side's length, got {side}"),
            other => bail!("expected a side's length, got {}", other.what()),
        };
        items.iter().map(side).collect()
    }
}

/// The names that a state dict is made of.
fn known(module: &str, name: &str) -> Result<Name> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Name::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Name::Tensor,
        ("torch._utils", "_rebuild_parameter") => Name::Parameter,
        ("torch", "FloatStorage") => Name::Storage(Kind::Float),
        ("torch", "HalfStorage") => Name::Storage(Kind::Half),
        ("torch", "BFloat16Storage") => Name::Storage(Kind::BFloat16),
        ("torch", "DoubleStorage") => Name::Storage(Kind::Double),
        ("torch", "LongStorage") => Name::Storage(Kind::Int64),
        ("torch", "IntStorage") => Name::Storage(Kind::Int),
        ("torch", "ByteStorage") => Name::Storage(Kind::Uint8),
        ("torch", "BoolStorage") => Name::Storage(Kind::Bool),
        _ => bail!(
            "it names {module}.{name}, and only tensors and plain values are read, so that nothing in a file is run"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &[u8]) -> String {
        let bytes = [&[0x80, 2], body].concat();
        format!("{:#}", Pickle::read(&bytes).err().expect("refused"))
    }

    #[test]
    fn a_name_that_could_do_something_is_refused_by_name() {
        let said = refusal(b"cos\nsystem\nX\x04\x00\x00\x00true\x85R.");
        assert!(said.starts_with("byte 2 of the pickle: it names os.system, and only tensors"), "{said}");
    }

    #[test]
    fn what_is_cut_short_or_senseless_is_refused() {
        assert!(refusal(b"X\xff\xff\xff\xff").ends_with("the pickle ends too early"));
        assert!(refusal(b"").ends_with("the pickle ends too early"));
        assert!(refusal(b".").ends_with("a value is missing"));
        assert!(refusal(b"t").ends_with("a mark is missing"));
        assert!(refusal(b"h\x07").ends_with("value 7 was never remembered"));
        assert!(refusal(b"}(Nu").ends_with("a key without a value"));
        assert!(refusal(b"NNs").ends_with("expected a Dict to add to, got nothing"));
        assert!(refusal(b"NNNs").ends_with("expected a Dict to add to, got None"));
        assert!(refusal(b"\x93").ends_with("opcode 0x93 is not one that a state dict needs"));
        assert!(refusal(b"\x8a\x09").ends_with("expected numbers of at most 8 bytes, got one of 9"));
    }

    #[test]
    fn what_is_refused_is_not_printed_whole() {
        let said = refusal(b"(X\x03\x00\x00\x00abcNtQ");
        assert!(said.ends_with("expected a storage's kind, name and size, got 2 values"), "{said}");
        assert!(refusal(b"NNR").ends_with("expected a name to call, got None"));
        assert!(refusal(b"NQ").ends_with("expected a tuple, got None"));
    }

    #[test]
    fn tuples_within_tuples_without_end_do_no_harm() {
        let mut bytes = vec![0x80, 2, b')'];
        bytes.resize(1 << 20, 0x85);
        bytes.push(b'.');
        let pickle = Pickle::read(&bytes).unwrap();
        assert!(pickle.entries(&pickle.root).is_none());
    }

    #[test]
    fn numbers_have_their_signs() {
        let int = |body: &[u8]| match Pickle::read(&[&[0x80, 2], body].concat()).unwrap().root {
            Value::Int(number) => number,
            other => panic!("{other:?}"),
        };
        assert_eq!(int(b"J\xff\xff\xff\xff."), -1);
        assert_eq!(int(b"M\xff\xff."), 65535);
        assert_eq!(int(b"\x8a\x01\xfe."), -2);
        assert_eq!(int(b"\x8a\x05\x00\x00\x00\x00\x01."), 1 << 32);
        assert_eq!(int(b"\x8a\x00."), 0);
    }
}
