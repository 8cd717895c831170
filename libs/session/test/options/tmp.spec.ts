import { resolveSessionOptions } from '../../src/options/resolve-options.js';
it('x', () => {
  const r = resolveSessionOptions();
  console.log(r, r.jwt);
  const bad: unknown[] = [{session:{idleTimeout:'30 apples'}},{session:{idleTimout:1}},{nope:1},{session:3},{security:{csrf:{trustedOrigins:['http://a/']}}},{security:{csrf:{trusted:[]}}},{security:{csrf:'x'}},{nearCache:{maxStale:'z'}},{jwt:{issuer:'x',audience:'y',keys:[{kid:'a',alg:'none'}]}},{jwt:{issuer:'x',audience:'y',keys:[{kid:'a',alg:'HS256',sec:1}]}},{jwt:{audience:'y'}},{redis:''},{redis:'redis://x'},{secrets:'abc'},{session:{touchInterval:'10m'}},{cookie:{secure:false}},{cookie:{domain:'a b', name:'x'}},null,[],{session:{maxSessionsPerUser:0}},{session:{maxSessionsPerUser:'5'}},{store:{}},{resolveUser:3},{security:{useFingerprint:'bad'}},{cookie:{httpOnly:false}}, {cookie:{name:'a b'}}, {security:{idLength:10}}, {session:{renewalInterval:'1s'}}, {jwt:{issuer:'x',audience:[]}}];
  for (const b of bad) { try { resolveSessionOptions(b as never); console.log('NO ERROR', b); } catch (e) { process.stdout.write(String(e)+'\n'); } }
});
