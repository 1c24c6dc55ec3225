//! Properties: how many checks there were, and what did not hold.

use serde_json::Value;

use crate::rendered::{self, Rendered, title};

/// What a property was found to be.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) checks: usize,
    pub(crate) faults: Vec<String>,
}

impl Found {
    /// One check: what is said if it does not hold.
    pub(crate) fn hold(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.faults.push(fault());
        }
    }

    /// One check of an object.
    pub(crate) fn of(&mut self, object: &Value, holds: bool, fault: &str) {
        self.hold(holds, || format!("{}: {fault}", title(object)));
    }
}

/// From the objects of a rendering to what breaks it.
pub(crate) type Property = fn(&[Value], &mut Found);

/// Holds a property against all renderings, and says how often it was looked at.
pub(crate) fn holds_everywhere(what: &str, property: Property, least: usize) {
    let (mut checks, mut objects, mut faults) = (0, 0, Vec::new());
    for Rendered { name, objects: rendered, .. } in rendered::all() {
        let mut found = Found::default();
        property(rendered, &mut found);
        checks += found.checks;
        objects += rendered.len();
        faults.extend(found.faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    println!("{what}: {checks} checks over {objects} objects of {} renderings", rendered::all().len());
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    assert!(checks >= least, "{what}: only {checks} checks, and not {least}");
}

/// Something broken: in which rendering, in which object, how, and a part of what must be said of it.
pub(crate) struct Broken {
    pub(crate) set: &'static str,
    /// `KIND NAME`.
    pub(crate) object: &'static str,
    /// Where, as a JSON pointer.
    pub(crate) at: String,
    /// Nothing: it is taken away.
    pub(crate) to: Option<Value>,
    pub(crate) says: &'static str,
}

/// A row of what is broken.
pub(crate) fn broken(
    set: &'static str,
    object: &'static str,
    at: impl Into<String>,
    to: impl Into<Option<Value>>,
    says: &'static str,
) -> Broken {
    Broken { set, object, at: at.into(), to: to.into(), says }
}

/// Sees that a property finds each of these, alone, where it found nothing before.
pub(crate) fn finds(property: Property, rows: &[Broken]) {
    for Broken { set, object, at, to, says } in rows {
        let mut objects = rendered::one(set).objects.clone();
        change(&mut objects, object, at, to.as_ref());
        let mut found = Found::default();
        property(&objects, &mut found);
        let known = found.faults.iter().any(|fault| fault.contains(says));
        assert!(known, "{set}: {object} with {to:?} at {at} is not found, by '{says}': {:?}", found.faults);
    }
    println!("{} broken renderings found", rows.len());
}

/// Puts a value into an object, or takes one away.
pub(crate) fn change(objects: &mut Vec<Value>, object: &str, at: &str, to: Option<&Value>) {
    let place = objects.iter().position(|it| title(it) == object).unwrap_or_else(|| panic!("there is no {object}"));
    if at.is_empty() {
        match to {
            Some(value) => objects.push(value.clone()),
            None => drop(objects.remove(place)),
        }
        return;
    }
    let (parent, key) = at.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let object_at = objects.get_mut(place).unwrap();
    let parent = object_at.pointer_mut(parent).unwrap_or_else(|| panic!("{object} has no {parent}"));
    match (parent, to) {
        (Value::Object(map), Some(value)) => drop(map.insert(key, value.clone())),
        (Value::Object(map), None) => assert!(map.remove(&key).is_some(), "{object} has no {at}"),
        (Value::Array(list), Some(value)) if key == "-" => list.push(value.clone()),
        (Value::Array(list), Some(value)) => *list.get_mut(key.parse::<usize>().unwrap()).unwrap() = value.clone(),
        (Value::Array(list), None) => drop(list.remove(key.parse().unwrap())),
        (other, _) => panic!("{object} has {other} at {at}"),
    }
}
