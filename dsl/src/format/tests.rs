use crate::fuzzing::{keeps_its_tree as check, scatter};
use crate::generate::{Choices, generate};

#[test]
fn generated_rules_keep_their_tree_and_their_comments() {
    for seed in 0..1_500 {
        let mut choices = Choices::seeded(seed);
        let source = generate(&mut choices, 6, 1).source;
        check(&source);
        check(&scatter(&source, &mut choices));
    }
}

#[test]
fn examples_keep_their_layout() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "rule") {
            let source = std::fs::read_to_string(&path).unwrap();
            check(&source);
            check(&scatter(&source, &mut Choices::seeded(3)));
        }
    }
}

#[test]
fn a_rule_is_laid_out() {
    let source = "edition 1 clock \"UTC\" day 00:00\nrule   r( a:num ? in 0 .. 1,b )\n{ param n:int=3 in 1..5 # how many\n\n\n\
        let x=a??0   if x>1 and  not(b<-2 ){warn for 3   bars \"x\"} else if x==0 {\n breach reduce(0.5)\"y\" } else { out o = sma(b,n,min:1) } }\n\
        test \"t\" {set n=2 bar a=1 b= -2 -> breach reduce bar b=1 time=\"2026-01-05T15:00Z\"->ok}";
    insta::assert_snapshot!(check(source), @r#"
    edition 1
    clock "UTC" day 00:00
    rule r(a: num? in 0..1, b) {
      param n: int = 3 in 1..5  # how many

      let x = a ?? 0
      if x > 1 and not (b < -2) { warn for 3 bars "x" }
      else if x == 0 {
        breach reduce(0.5) "y"
      } else { out o = sma(b, n, min: 1) }
    }
    test "t" { set n = 2
      bar a=1 b=-2 -> breach reduce
      bar b=1 time="2026-01-05T15:00Z" -> ok
    }
    "#);
}
